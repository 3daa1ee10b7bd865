"""The command mmvis, and what it finds by name."""
import configparser
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmvis_memcnp.cli import main as console
from mmvis_memcnp.cli import shipped
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.version import __version__

ROOT = Path(__file__).resolve().parents[2]
SMALL = 'sipmask-memcnp_r18_movingshapes'


def mmvis(*arguments, cwd=ROOT):
    """Run the command in a process of its own."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.run(
        [sys.executable, '-m', 'mmvis_memcnp.cli.main', *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, text=True,
        timeout=300, check=False)


def test_help_is_there_at_once_without_torch():
    code = ('import sys, time; start = time.process_time()\n'
            'sys.argv = ["mmvis", "--help"]\n'
            'from mmvis_memcnp.cli.main import main\nmain()\n'
            'print(time.process_time() - start, "torch" in sys.modules, '
            '"numpy" in sys.modules)')
    before = time.perf_counter()
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    took, torch, numpy = done.stdout.splitlines()[-1].split()
    assert (torch, numpy) == ('False', 'False')
    assert float(took) < .5
    # of a process, which waits for others where the machine is busy
    assert time.perf_counter() - before < 30
    for command in (*console.COMMANDS, 'models'):
        assert f'  mmvis {command} ' in done.stdout


def test_the_console_script_is_the_command():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    name, target = setup['options.entry_points'][
        'console_scripts'].strip().split(' = ')
    assert (name, target) == ('mmvis', 'mmvis_memcnp.cli.main:main')
    assert callable(console.main)
    for tool, _, _ in console.COMMANDS.values():
        assert (ROOT / tool).is_file()


def test_a_tool_runs_under_its_command(tmp_path):
    fixture = ROOT / 'tests/data/ytvis_eval_2_crowd_area'
    done = mmvis('eval', fixture / 'gt.json', fixture / 'results.json',
                 cwd=tmp_path)
    assert done.returncode == 0 and 'AP50' in done.stdout
    done = mmvis('report', fixture / 'results.json', '--gt',
                 fixture / 'gt.json', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'outputs/report.html').is_file()
    done = mmvis('eval', 'none.json', 'none.json', cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1, 'Error: there is no ground truth none.json: check the path.\n')
    done = mmvis('eval', '--help')
    assert done.stdout.startswith('usage: mmvis eval ')


@pytest.mark.parametrize('arguments, phrase', [
    (['fly'], "no command 'fly'; the commands are demo, train"),
    (['demo'], 'needs the video first'),
    (['demo', '--model', SMALL], 'needs the video first'),
    (['demo', 'a.mp4'], 'needs --model'),
    (['demo', 'a.mp4', '--model', 'idol_r50_ovis'],
     'No weights of idol_r50_8xb2-12k_ovis come with the package'),
    (['train', 'idol-memcp_r50_ovis'],
     'the nearest are idol-memcnp_r50_ovis'),
    (['test', 'configs/none.py', 'x.pth'], 'no config at configs/none.py'),
    (['convert', 'a', 'b', '--config', 'sipmask_r50_oficial'],
     'sipmask_r50_official'),
    (['models', 'nothing-like-it'], 'no config named nothing-like-it')])
def test_what_is_wrong_gets_one_sentence(arguments, phrase):
    with pytest.raises(UserError, match=phrase) as error:
        console.run(arguments)
    assert '\n' not in str(error.value)


def test_names_become_paths():
    small = str(ROOT / f'configs/sipmask/{SMALL}.py')
    weights = str(ROOT / f'demo/weights/{SMALL}.pth')
    take = console.tool_arguments
    assert take('demo', ['a.mp4', '--model', SMALL, '--fps', '3']) == [
        'a.mp4', small, weights, '--fps', '3']
    assert take('demo', ['a.mp4', '--checkpoint=w.pth', '--model=' + small]
                ) == ['a.mp4', small, 'w.pth']
    assert take('train', [SMALL, '--amp']) == [small, '--amp']
    assert take('test', [small, 'w.pth']) == [small, 'w.pth']
    # A path may stand anywhere, a name must come first.
    assert take('train', ['--amp', small]) == ['--amp', small]
    for command, words in (('train', ['--amp', SMALL]),
                           ('test', ['--work-dir', 'w', SMALL, 'w.pth'])):
        with pytest.raises(UserError, match=(
                f'needs the config first: mmvis {command} CONFIG ')):
            take(command, words)
    assert take('convert', ['a', 'b', f'--config={SMALL}']) == [
        'a', 'b', f'--config={small}']
    assert take('convert', ['--config', SMALL, 'a', 'b']) == [
        '--config', small, 'a', 'b']
    assert take('report', ['r.json', '--gt', 'g']) == ['r.json', '--gt', 'g']
    assert take('demo', ['--help']) == ['--help']


def test_models_and_version(capsys, monkeypatch):
    console.run(['models', 'idol', 'memcnp', 'r50'])
    assert capsys.readouterr().out.split() == [
        'idol-memcnp_r50_8xb4-12k_ovis',
        'idol-memcnp_r50_8xb4-12k_youtubevis2021']
    monkeypatch.setattr(sys, 'argv', ['mmvis', '--version'])
    console.main()
    assert capsys.readouterr().out == f'{__version__}\n'


def test_every_config_has_a_name_of_its_own():
    """Full and short; what one finds is that config."""
    names = shipped.config_paths()
    assert len(names) > 250
    assert not any('_base_' in str(path) for path in names.values())
    shorts = {shipped.short_name(name) for name in names}
    assert len(shorts) == len(names)
    assert not shorts & names.keys() - {
        n for n in names if shipped.short_name(n) == n}
    for name in (SMALL, f'{SMALL}.py', str(names[SMALL]), names[SMALL]):
        assert shipped.find_config(name) == names[SMALL]
    assert shipped.find_config('idol-memcnp_r50_ovis') == names[
        'idol-memcnp_r50_8xb4-12k_ovis']
    assert shipped.find_config('dvis-daq_r50_coco-joint_ovis') == names[
        'dvis-daq_r50_8xb1-160k-coco-joint_ovis']


def test_weights_belong_to_the_shipped_config_alone(tmp_path):
    names = shipped.config_paths()
    assert shipped.shipped_weights(names[SMALL]).name == f'{SMALL}.pth'
    own = tmp_path / f'{SMALL}.py'
    own.write_text('')
    assert shipped.shipped_weights(own) is None
    assert shipped.shipped_weights(names['idol_r50_official']) is None


def test_an_installation_has_configs_and_tools(tmp_path, monkeypatch):
    """What is built is what `.mim` of OpenMMLab's packages is."""
    done = subprocess.run(
        [sys.executable, 'setup.py', '-q', 'build_py', '--build-lib',
         str(tmp_path)], cwd=ROOT, env=dict(os.environ, MMVIS_BUILD_OPS='0'),
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    package = tmp_path / 'mmvis_memcnp'
    for name in ('.mim/model-index.yml', f'.mim/configs/sipmask/{SMALL}.py',
                 '.mim/configs/_base_/default_runtime.py',
                 '.mim/tools/train.py', '.mim/demo/video_demo.py',
                 f'.mim/demo/weights/{SMALL}.pth', 'report/page.html',
                 'report/main.js', 'report/page.css'):
        assert (package / name).is_file(), name
    assert not list(package.rglob('__pycache__'))
    monkeypatch.setattr(shipped, '_PACKAGE', package)
    assert shipped.find_config(SMALL).is_relative_to(package)
    assert shipped.shipped_root() == package / '.mim'
    monkeypatch.setattr(shipped, '_PACKAGE', tmp_path / 'none')
    with pytest.raises(UserError, match='without its configs'):
        shipped.shipped_root()
