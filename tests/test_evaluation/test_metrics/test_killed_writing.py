"""Killed while results.json is written: the old file, or a whole new one."""
import atexit
import json
import os
import random
import signal
import time
import zipfile

import pytest

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.evaluation.metrics.results_writer import (
    ResultsSpool,
    write_results,
    write_submission,
)

ENTRIES = 300


def write_for_ever(folder):
    """Results of run after run, each with its number in every entry."""
    run = 0
    while True:
        run += 1
        spool = ResultsSpool(folder)
        pieces = [spool.append([dict(video_id=v, run=run, counts='x' * 9000)])
                  for v in range(ENTRIES)]
        write_results(pieces, folder / 'results.json')
        write_submission(folder / 'results.json', folder / 'results.zip')
        spool.close()


def start(work, *arguments):
    """Run a function in a process; its id."""
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work(*arguments)
    except SystemExit as stop:
        atexit._run_exitfuncs()  # of a forked process nobody else does
        os._exit(stop.code)
    finally:
        os._exit(1)


def stop(child, number, seconds):
    """Send a signal some time later; the exit status."""
    time.sleep(seconds)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_whole(folder):
    """All entries of one run, in the json and in the archive."""
    texts = [(folder / 'results.json').read_text()]
    if (folder / 'results.zip').exists():
        with zipfile.ZipFile(folder / 'results.zip') as archive:
            assert archive.namelist() == ['results.json']
            texts.append(archive.read('results.json'))  # checks its sum
    for text in texts:
        entries = json.loads(text)
        assert [e['video_id'] for e in entries] == list(range(ENTRIES))
        assert len({e['run'] for e in entries}) == 1


def unfinished(folder):
    return [p.name for p in folder.iterdir() if '.unfinished' in p.name]


@pytest.mark.slow
def test_sigkill_at_any_moment(tmp_path):
    rng = random.Random(0)
    half_way = seen = 0
    for _ in range(50):
        status = stop(start(write_for_ever, tmp_path), signal.SIGKILL,
                      rng.uniform(0, .5))
        assert status == -signal.SIGKILL
        half_way += bool(unfinished(tmp_path))
        # once there it never goes
        assert (tmp_path / 'results.json').exists() >= bool(seen)
        if (tmp_path / 'results.json').exists():
            check_whole(tmp_path)
            seen += 1
    assert half_way > 5 and seen > 30
    # the next run clears what was left, and knows the file for its own
    ours, neighbour = (tmp_path / f'.vis_results.unfinished{infix}'
                       for infix in ('', '-0123abcd'))  # of another rank
    for left in (ours, neighbour):
        left.mkdir(exist_ok=True)
        (left / 'left').write_text('')
    child = start(write_for_ever, tmp_path)
    while neighbour.exists() or (ours / 'left').exists():
        time.sleep(.05)
    stop(child, signal.SIGKILL, .5)
    check_whole(tmp_path)


@pytest.mark.slow
def test_sigterm_leaves_nothing_half_written(tmp_path):
    rng = random.Random(1)
    for _ in range(20):
        status = stop(
            start(run_tool, lambda: write_for_ever(tmp_path)),
            signal.SIGTERM, rng.uniform(.1, .6))
        assert status == 143
        assert not unfinished(tmp_path)
        if (tmp_path / 'results.json').exists():
            check_whole(tmp_path)
