"""The report on the environment names each mismatch with its fix."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / 'tools/analysis_tools/check_env.py'
sys.path.insert(0, str(SCRIPT.parent))

from check_env import check_operators, check_versions  # noqa: E402

GOOD = {
    'torch': '2.13.0+cpu', 'numpy': '2.4.6', 'mmengine': '0.10.7',
    'opencv-python-headless': '5.0.0', 'mmcv-lite': '2.1.0', 'mmdet': '3.3.0',
    'pycocotools': '2.0.11', 'scipy': '1.17.1', 'matplotlib': '3.11.2',
    'tqdm': '4.70.1', 'setuptools': '80.10.2'}


def changed(remove=(), **add):
    versions = {k: v for k, v in GOOD.items() if k not in remove}
    return {**versions, **{k.replace('_', '-'): v for k, v in add.items()}}


FORKS = dict(onedl_mmengine='0.10.12', onedl_mmdetection='3.5.1',
             onedl_mmcv='2.3.6')


@pytest.mark.parametrize('versions, python, problems', [
    (GOOD, (3, 11), []),
    # Compiled mmcv instead of mmcv-lite.
    (changed(['mmcv-lite'], mmcv='2.1.0'), (3, 11), []),
    # The forks alone, whatever setuptools.
    (changed(['mmengine', 'mmcv-lite', 'mmdet'], setuptools='84', **FORKS),
     (3, 11), []),
    (GOOD, (3, 10), [(True, 'Python 3.10', 'python3.11')]),
    (changed(['torch']), (3, 11), [(True, 'torch is not', 'install torch')]),
    (changed(['mmcv-lite']), (3, 12),
     [(True, 'mmcv is not installed', 'mmcv-lite==2.1.0')]),
    (changed(['mmcv-lite'], mmcv='2.2.0'), (3, 11),
     [(True, 'mmdet 3.3.0 refuses mmcv 2.2.0', 'mmcv-lite==2.1.0')]),
    (changed(mmcv='2.1.0'), (3, 11),
     [(True, 'share the folder mmcv/', 'uninstall -y mmcv mmcv-lite')]),
    (changed(opencv_python='4.10'), (3, 11),
     [(True, 'share the folder cv2/', 'uninstall')]),
    (changed(['mmcv-lite', 'mmdet'], **FORKS), (3, 11),
     [(True, 'share the folder mmengine/', 'uninstall'),
      (True, 'onedl forks', 'fresh environment')]),
    (changed(setuptools='81.0.0'), (3, 11),
     [(False, 'pkg_resources', 'setuptools<81')]),
    (changed(torch='2.5.1'), (3, 11), [(True, 'torch 2.5.1', '>=2.7')]),
    (changed(numpy='1.24.4'), (3, 11), [(True, 'numpy 1.24.4', '>=1.26')]),
    # A build of someone's own is not judged.
    (changed(setuptools='unknown'), (3, 11), []),
])
def test_findings(versions, python, problems):
    findings = list(check_versions(versions, python))
    assert len(findings) == len(problems), findings
    for finding, (fatal, problem, fix) in zip(findings, problems,
                                              strict=True):
        assert finding.fatal is fatal
        assert problem in finding.problem and fix in finding.fix


def test_operators_of_another_torch():
    state = {'a': 'PyTorch (x cannot be loaded: y)', 'b': 'compiled'}
    finding, = check_operators(state)
    assert not finding.fatal and 'a was built' in finding.problem


def test_a_library_of_another_system():
    state = {'run-length codes': 'NumPy (_compiled.so cannot be loaded: x)'}
    finding, = check_operators(state)
    assert 'does not load' in finding.problem and 'own-ops' in finding.fix


def run(*args):
    return subprocess.run([sys.executable, str(SCRIPT), *args], text=True,
                          capture_output=True, cwd=ROOT)


def test_report_and_json():
    report = run()
    parsed = json.loads(run('--json').stdout.splitlines()[-1])
    assert report.returncode == int(not parsed['ok'])
    assert parsed['versions']['torch'] in report.stdout
    assert set(parsed['operators']) >= {'mmcv.ops', 'crop_split on cpu',
                                         'run-length codes'}
    for name in parsed['operators']:
        assert name in report.stdout


def test_something_that_does_not_run_is_exit_status_1(tmp_path):
    # An mmdet that cannot be imported, first on the path.
    (tmp_path / 'mmdet').mkdir()
    (tmp_path / 'mmdet/__init__.py').write_text('raise ImportError("torn")')
    result = subprocess.run(
        [sys.executable, str(SCRIPT)], text=True, capture_output=True,
        cwd=ROOT, env={'PYTHONPATH': f'{tmp_path}:{ROOT}'})
    assert result.returncode == 1
    assert 'torn' in result.stdout and 'fix:' in result.stdout
