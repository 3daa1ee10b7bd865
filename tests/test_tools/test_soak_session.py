"""tools/benchmark/soak_session.py: what it measures and what it refuses."""
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/benchmark/soak_session.py'
CONFIG = ROOT / 'configs/instanceformer/instanceformer_r18_movingshapes.py'


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


def run(*args, cwd):
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, args)], capture_output=True,
        text=True, cwd=cwd,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'))


@pytest.mark.skipif(not Path('/proc/self/status').is_file(),
                    reason='needs /proc')
def test_two_videos_in_two_processes(tmp_path):
    done = run(CONFIG, '--frames', 3, 5, '--size', 64, 96, '--device', 'cpu',
               '--json', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    short, long = report['short'], report['long']
    assert (short['frames'], long['frames']) == (3, 5)
    for found in (short, long):
        assert 100 < found['start_mib'] <= found['peak_mib']
        assert found['instances'] > 0 and found['identities'] > 0
    assert report['ratio'] == long['peak_mib'] / short['peak_mib']
    assert report['passed'] is True


def test_nothing_found_is_no_proof(tool):
    # A threshold that no score exceeds: no query is ever given an identity.
    args = tool['parse_args']([
        str(ROOT / 'configs/idol/idol_r18_movingshapes.py'), '--size', '64',
        '96', '--device', 'cpu', '--cfg-options',
        'model.tracker.init_score_thr=2.', 'model.tracker.new_score_thr=2.'])
    with pytest.raises(ValueError, match='Nothing was found in 2 frames'):
        tool['measure'](args, 2)


def test_an_error_ends_it_with_its_sentence(tmp_path):
    done = run('none.py', cwd=tmp_path)
    assert done.returncode == 1 and not done.stdout
    assert 'Error: There is no config at none.py' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.skipif(not Path('/proc/self/status').is_file(),
                    reason='needs /proc')
def test_resident_memory_counts_what_is_touched(tool):
    _, before = tool['resident']()
    block = bytearray(b'x') * (int(before) * tool['MIB'])
    now, most = tool['resident']()
    assert now > before and most >= now
    del block


def test_growth_fails(tool):
    def found(peak, cuda):
        return dict(peak_mib=peak, cuda_peak_mib=cuda)

    report = tool['compare'](found(100., 10.), found(104., 10.))
    assert report['ratio'] == 1.04 and report['passed']
    assert not tool['compare'](found(100., 10.), found(106., 10.))['passed']
    assert not tool['compare'](found(100., 10.), found(100., 11.))['passed']


def test_new_shapes_come(tool):
    frames = tool['shapes']((48, 64), 'easy')
    seen = [next(frames) for _ in range(tool['SCENE_FRAMES'] + 1)]
    assert all(f.shape == (48, 64, 3) for f in seen)

    def change(t):
        return abs(seen[t].astype(int) - seen[t - 1]).mean()

    assert change(tool['SCENE_FRAMES']) > 2 * change(1)


@pytest.mark.parametrize('extra', [
    ['--frames', 5, 5], ['--frames', 9, 5], ['--frames', 0],
    ['--frames', 1, 2, 3], ['--size', 40, 64],
])
def test_bad_numbers(tool, extra):
    with pytest.raises(ValueError, match='--frames takes|--size must be'):
        tool['parse_args']([str(CONFIG), *map(str, extra)])
