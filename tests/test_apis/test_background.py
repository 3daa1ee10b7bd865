"""Other threads change when things are done, and nothing else."""
import signal
import threading
import time

import cv2
import numpy as np
import pytest

from mmvis_memcnp.apis import open_source
from mmvis_memcnp.apis.background import Background, chunks, read_ahead


@pytest.mark.parametrize('count, size, expected', [
    (7, 3, [3, 3, 1]),  # the rest is shorter
    (6, 3, [3, 3]),  # nothing empty at the end
    (0, 3, []),
    (2, 1, [1, 1]),
])
def test_chunks(count, size, expected):
    found = list(chunks(range(count), size))
    assert [len(part) for part in found] == expected
    assert sum(found, []) == list(range(count))


@pytest.mark.parametrize('size', [1, 3, 20])
def test_items_are_read_ahead_in_order_and_no_further(size):
    taken = []

    def items():
        for n in range(10):
            taken.append((n, threading.current_thread().name))
            yield n

    for n, item in enumerate(read_ahead(items(), size)):
        assert item == n
        deadline = time.monotonic() + 5
        while len(taken) < min(10, n + 1 + size):
            assert time.monotonic() < deadline
            time.sleep(.001)
        assert len(taken) <= n + 1 + size
    assert [n for n, _ in taken] == list(range(10))
    assert all(name.startswith('read_ahead') for _, name in taken)


def test_an_error_comes_in_the_place_of_its_item():
    def items():
        yield from range(3)
        raise ValueError('broken')

    found = []
    with pytest.raises(ValueError, match='broken'):
        for item in read_ahead(items(), 8):
            found.append(item)
    assert found == [0, 1, 2]


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    ahead = read_ahead(iter(range(1000)), 4)
    assert next(ahead) == 0
    assert threading.active_count() > before
    ahead.close()
    assert threading.active_count() == before


def test_calls_are_done_in_order_by_another_thread():
    done, before = [], threading.active_count()
    with Background(2) as worker:
        futures = [worker.submit(lambda n=n: done.append(
            threading.current_thread()) or n) for n in range(20)]
    assert [f.result() for f in futures] == list(range(20))
    assert set(done) != {threading.main_thread()} and len(set(done)) == 1
    assert threading.active_count() == before


def test_no_more_wait_than_allowed():
    gate, most = threading.Event(), []
    with Background(3) as worker:
        futures = [worker.submit(gate.wait, 5)]
        timer = threading.Timer(.2, gate.set)
        timer.start()
        for _ in range(10):
            futures.append(worker.submit(int))
            most.append(sum(not f.done() for f in futures))
    assert max(most) <= 4  # three that wait and the newest


def test_the_first_error_is_raised_and_nothing_is_done_after_it():
    done = []

    def fail():
        raise ValueError('broken')

    # By the end of the block at the latest.
    with pytest.raises(ValueError, match='broken'), Background(8) as worker:
        worker.submit(done.append, 1)
        worker.submit(fail)
        worker.submit(done.append, 2)
    assert done == [1]
    # While others are added.
    with pytest.raises(ValueError, match='broken'), Background(8) as worker:
        worker.submit(fail)
        for _ in range(1000):
            worker.submit(done.append, 3)
        raise AssertionError('not noticed')
    assert done == [1]


def test_an_error_of_the_block_drops_what_waits():
    gate, done = threading.Event(), []
    before = threading.active_count()

    def slow():
        gate.wait(5)
        done.append('slow')

    with pytest.raises(KeyError), Background(8) as worker:
        running = worker.submit(slow)
        while not running.running():
            time.sleep(.001)
        worker.submit(done.append, 'late')
        threading.Timer(.1, gate.set).start()
        raise KeyError
    # What ran is over: the caller may remove its files.
    assert done == ['slow']
    deadline = time.monotonic() + 5
    while threading.active_count() > before:  # the timer
        assert time.monotonic() < deadline
        time.sleep(.001)


def test_a_second_signal_waits_for_the_thread():
    done, gate = [], threading.Event()

    def slow():
        gate.wait(5)
        done.append(1)

    def interrupt():
        signal.raise_signal(signal.SIGINT)
        gate.set()

    with pytest.raises(KeyboardInterrupt):
        with Background(8) as worker:
            worker.submit(slow)
            threading.Timer(.1, interrupt).start()
            raise KeyboardInterrupt
        raise AssertionError
    assert done == [1]


def test_only_files_are_read_before_their_turn(tmp_path):
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    assert not open_source(frames).stored
    assert not open_source(iter(frames)).stored
    assert not open_source('rtsp://nowhere/1').stored
    assert not open_source(0).stored
    cv2.imwrite(str(tmp_path / 'a.png'), frames[0])
    assert open_source(tmp_path).stored
