"""The compiled functions for run-length codes against those of NumPy."""
import ctypes
import functools
import re
import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.results import compiled
from mmvis_memcnp.results.rle import MaskError, to_rles
from mmvis_memcnp.results.spans import read_spans
from tests.test_results.test_rle import (
    GOOD,
    HEIGHT,
    NOT_A_MASK,
    WIDTH,
    changed_codes,
    code,
)

built = pytest.mark.skipif(
    bool(compiled.missing()), reason='the compiled functions are not built')
SIZE = (HEIGHT, WIDTH)


def outcome(read, *args):
    """What a reader gives, in lists, or its sentence and frame."""
    try:
        found = read(*args)
    except MaskError as error:
        return str(error), error.frame
    if read is to_rles:
        return found
    spans, places = found
    return spans.bounds.tolist(), spans.offsets.tolist(), places.tolist()


def both(monkeypatch, read, *args):
    """The outcome with the compiled functions and without."""
    found = outcome(read, *args)
    with monkeypatch.context() as patch:
        patch.setattr(compiled, 'missing', lambda: 'left out')
        return found, outcome(read, *args)


@built
@pytest.mark.parametrize('bad', [bad for bad, _ in NOT_A_MASK])
def test_the_same_sentences(bad, monkeypatch):
    track = [None, code(GOOD), bad, code(GOOD)]
    for read, args in ((to_rles, (track, SIZE)),
                       (read_spans, ([[], track], SIZE, True))):
        ours, theirs = both(monkeypatch, read, *args)
        assert ours == theirs
        assert isinstance(ours[0], str) and ours[1] == 2


@built
@pytest.mark.parametrize('share', [0, .02, .5, .98, 1])
def test_the_same_runs(share, monkeypatch):
    rng = np.random.default_rng(0)
    for size in ((1, 1), (1, 40), (40, 1), (37, 29), (400, 300)):
        masks = rng.random((*size, 7)) < share
        codes = mask_utils.encode(np.asfortranarray(masks.astype(np.uint8)))
        ours, theirs = both(monkeypatch, read_spans, [codes], size)
        assert ours == theirs and len(ours[1]) == 8
        ours, theirs = both(monkeypatch, to_rles, codes, size)
        assert ours == theirs == codes


@built
def test_the_same_of_changed_codes(monkeypatch):
    """Both refuse with one sentence, or both read the same."""
    refused = 0
    for changed in changed_codes((6, 50), 1500):
        track = [changed]
        for read, args in ((to_rles, (track, (6, 50))),
                           (read_spans, ([track], (6, 50)))):
            ours, theirs = both(monkeypatch, read, *args)
            assert ours == theirs
        refused += isinstance(ours[0], str)
    assert 700 < refused < 1500


@built
def test_runs_of_up_to_six_groups(monkeypatch):
    """The longest mask there is, and steps to and fro of the same length."""
    for runs in ([(1 << 29) - 2, 1], [1, 1, (1 << 29) - 4, 1],
                 [0, 200_000_000, 1, 1, 199_999_998, 100_000_000]):
        size = (sum(runs), 1)
        rle, = to_rles([dict(size=list(size), counts=runs)], size)
        ours, theirs = both(monkeypatch, read_spans, [[rle]], size)
        assert ours == theirs
        ends = np.cumsum(runs + [0] * (len(runs) % 2)).reshape(-1, 2)
        assert ours[0] == ends.tolist()


@built
@pytest.mark.parametrize('room', [0, 3, 1000])  # none, few, all are drawn
@pytest.mark.parametrize('share', [0, .02, .5, .98, 1])
def test_shared_pixels(room, share):
    rng = np.random.default_rng(0)
    sides = []
    for count in (6, 4):
        masks = rng.random((count, 13, 33)) < share
        masks[0] = False
        masks[1, :, :20] = True  # whole words, and a bound on a word's end
        masks[2, :, :5] = masks[2, :, 9:] = False  # apart from many others
        codes = mask_utils.encode(np.asfortranarray(
            masks.transpose(1, 2, 0).astype(np.uint8)))
        spans, _ = read_spans([codes], (13, 33))
        sides += [masks, spans.bounds, spans.offsets]
    x, bounds, offsets, y, others, other_offsets = sides
    pairs = np.array([(i, j) for j in (3, 0, 1, 2) for i in range(6)
                      if i != j])
    found = compiled.shared(bounds, offsets, others, other_offsets, pairs,
                            room)
    assert found.tolist() == [(x[i] & y[j]).sum() for i, j in pairs]
    assert not len(compiled.shared(bounds, offsets, others, other_offsets,
                                   pairs[:0], room))


@built
def test_memory_is_that_of_the_text():
    text = b'1' * 1_000_000  # a million runs of one pixel, as differences: 1
    ends, pixels = np.array([len(text)]), np.array([300])
    tracemalloc.start()
    assert compiled.decode(text, ends, pixels) is None
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@built
def test_arrays_of_other_kinds_are_refused():
    good = np.array([1]), np.array([1])
    assert compiled.decode(b'1', *good) is not None
    for bad in (np.array([1], np.int32), np.array([1, 1, 1])[::2]):
        for args in ((bad, good[1]), (good[0], bad)):
            with pytest.raises(TypeError, match='is needed'):
                compiled.decode(b'1', *args)


@pytest.mark.parametrize('found, reason', [
    (None, 'not built'),
    (OSError('wrong ELF class'), r'_compiled\.x\.so cannot be loaded: wr'),
    (object(), 'cannot be loaded'),  # another library of this name
    (0, 'another version: run `make own-ops`'),  # of an older checkout
])
def test_why_they_are_missing(found, reason, monkeypatch, tmp_path):
    class Library:
        def __init__(self, path):
            if isinstance(found, OSError):
                raise found
            if isinstance(found, int):
                self.mmvis_version = lambda: found

    if found is not None:
        (tmp_path / '_compiled.x.so').touch()
    monkeypatch.setattr(compiled, '_FOLDER', tmp_path)
    monkeypatch.setattr(ctypes, 'CDLL', Library)
    monkeypatch.setattr(compiled, '_library',
                        functools.cache(compiled._library.__wrapped__))
    monkeypatch.delenv('MMVIS_OPS', raising=False)
    assert pytest.raises(AssertionError, compiled.decode, b'', None, None)
    assert re.search(reason, compiled.missing())
    monkeypatch.setenv('MMVIS_OPS', 'torch')
    compiled._library.cache_clear()
    assert compiled.missing() == 'MMVIS_OPS=torch'
