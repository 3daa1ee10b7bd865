"""tools/benchmark/soak_session.py: what it measures and what it refuses."""
import json
import os
import runpy
import subprocess
import sys
import threading
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


@pytest.mark.parametrize('peak, handles, threads, passed', [
    (102., 5, 3, True),  # 2 % and nothing left open
    (102.5, 5, 3, False),  # memory
    (100., 6, 3, False),  # a file stays open
    (100., 5, 4, False),  # a thread stays
    (100., 4, 3, True),  # fewer are no fault
])
def test_growth_after_the_first_frames_fails(tool, peak, handles, threads,
                                             passed):
    report = tool['growth'](dict(
        peak_mib=peak, handles=handles, threads=threads,
        settled=dict(peak_mib=100., handles=5, threads=3)))
    assert report['passed'] is passed and report['growth'] == peak / 100
    assert report['more'] == dict(handles=handles - 5, threads=threads - 3)


def test_a_video_within_the_first_frames_says_nothing_of_growth(tool):
    assert tool['growth'](dict(peak_mib=100., handles=5, threads=3)) == {}


@pytest.mark.skipif(not Path('/proc/self/fd').is_dir(), reason='needs /proc')
def test_open_files_and_threads_are_counted(tool, tmp_path):
    before = tool['held']()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with open(tmp_path / 'x', 'w'):
            now = tool['held']()
    finally:
        stop.set()
        thread.join()
    assert now['handles'] == before['handles'] + 1
    assert now['threads'] == before['threads'] + 1


def test_every_online_system_has_a_soak():
    table = runpy.run_path(str(TOOL.with_name('soak_systems.py')))
    for name, (config, _) in table['SYSTEMS'].items():
        assert (ROOT / f'configs/{config}{table["SHAPES"]}').is_file(), name
    args = table['parse_args'](
        ['idol', '--frames', '50', '500', '--weights', f'idol={CONFIG}'])
    command = table['command'](args, 'idol')
    assert command[2:7] == [
        str(ROOT / 'configs/idol/idol_r18_movingshapes.py'), str(CONFIG),
        '--frames', '50', '500']
    for argv in (['none'], ['--weights', 'none=x'], ['--weights', 'idol=x']):
        with pytest.raises(ValueError, match='no system|no weights'):
            table['parse_args'](argv)


def test_a_row_of_the_table_says_what_grew():
    row = runpy.run_path(str(TOOL.with_name('soak_systems.py')))['row']
    one = dict(frames=500, peak_mib=102., instances=2., identities=7,
               seconds=9., handles=5, threads=3)
    assert row('a', dict(one, settled=dict(peak_mib=100.), growth=1.02,
                         more=dict(handles=0, threads=1))) == (
        '| `a` | 2.0 | 7 | 100.0 / 102.0 MiB | 1.020 | +0 / +1 | 9 s |')
    assert row('a', dict(short=dict(one, peak_mib=100., identities=3),
                         long=one, ratio=1.02)) == (
        '| `a` | 2.0 | 3 / 7 | 100.0 / 102.0 MiB | 1.020 | 9 s |')


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
