"""Every form of a mask becomes the same code, or is refused."""
import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.results.rle import MaskError, short, to_rle, to_rles
from tests.test_datasets.rectangles import (
    HEIGHT,
    WIDTH,
    box_mask,
    compressed,
    uncompressed,
)


@pytest.mark.parametrize('size', [(HEIGHT, WIDTH), None])
@pytest.mark.parametrize('encode', [
    compressed, uncompressed,
    lambda m: dict(size=list(m.shape), counts=compressed(m)['counts'].encode())
])
def test_every_rle_form_gives_the_mask(encode, size):
    mask = box_mask(0, 2, 5, 3)
    mask[7, 11] = 1
    rle, = to_rles([encode(mask)], size)
    assert isinstance(rle['counts'], bytes)
    np.testing.assert_array_equal(mask_utils.decode(rle), mask)


def test_polygons_are_merged():
    rle = to_rle([[1, 2, 4, 2, 4, 6, 1, 6], [8, 0, 10, 0, 10, 2, 8, 2]],
                 HEIGHT, WIDTH)
    expected = box_mask(1, 2, 3, 4) | box_mask(8, 0, 2, 2)
    np.testing.assert_array_equal(mask_utils.decode(rle), expected)


@pytest.mark.parametrize('empty', [None, []])
def test_no_mask(empty):
    assert to_rle(empty, HEIGHT, WIDTH) is None


def test_polygons_without_area_do_not_count_beside_one():
    one = [[1, 2, 4, 2, 4, 6, 1, 6]]
    assert to_rle([[0, 0, 9, 7], *one, []], HEIGHT, WIDTH) == to_rle(
        one, HEIGHT, WIDTH)


GOOD = compressed(box_mask(3, 2, 5, 3))['counts']
FULL = HEIGHT * WIDTH


def code(counts, size=(HEIGHT, WIDTH)):
    return dict(size=list(size), counts=counts)


def changed_codes(size, number):
    """Codes of a mask in which a character is changed, taken out or put in,
    that are cut, or have a number of six and seven groups."""
    rng = np.random.default_rng(0)
    good = compressed(rng.random(size) < .3)['counts']
    for _ in range(number):
        text = list(good)
        where = int(rng.integers(len(text)))
        kind = rng.integers(5)
        if kind == 0:
            text[where] = chr(rng.integers(40, 120))
        elif kind == 1:
            del text[where]
        elif kind == 2:
            text = text[:where]
        elif kind == 3:
            text.insert(where, chr(rng.integers(48, 112)))
        else:  # -1 or 0 of many groups, in the place of a number
            fill = 'oP'[rng.integers(2)]
            text[where:where + 1] = fill * int(rng.integers(3, 8)) + 'O'
        yield code(''.join(text), size)


def polygon(*values):
    return [[1, 2, 4, 2, *values]]


NOT_A_MASK = [
    # -- what it is
    ([1, 2, 3], 'not a list of polygons'),  # a flat list is no polygon
    ('text', 'neither polygons'),
    (0, 'neither polygons'),  # falsy, but not null
    (dict(size=[HEIGHT, WIDTH]), 'neither polygons'),  # no counts at all
    ({}, 'is {}.* write null'),  # it counted as not seen, without a word
    # -- size
    (dict(counts=[FULL]), 'size None'),
    (code([25], (5, 5)), r'size \[5, 5\].*\[8, 12\]'),  # another size
    (code([FULL], (WIDTH, HEIGHT)), 'are exchanged'),  # right sum, turned
    (code([FULL], (8., 12.)), 'whole numbers'),  # as some tools write it
    (code([FULL], (True, 96)), 'whole numbers'),  # true is 1 to Python
    (code([0], (0, 0)), 'whole numbers'),  # pycocotools divides by H
    (dict(size=96, counts=[FULL]), 'size 96'),
    (dict(size=[8, 12, 1], counts=[FULL]), r'size \[8, 12, 1\]'),
    # -- lists of runs
    (code([]), 'empty counts'),
    (code([3, 4]), 'runs for 7 pixels.*96'),  # decoding never ends
    (code([FULL, 1]), 'runs for 97 pixels'),  # with a tail
    (code([-4, 100]), 'run -4 in its counts at position 0'),  # right sum
    (code([10**30]), r'runs for 1000.*000 pixels'),  # beyond any integer
    (code([1., 95]), r'1\.0 in its counts at position 0'),
    (code([1, '95']), "'95' in its counts at position 1"),
    (code([[96]]), r'\[96\] in its counts'),
    (code([None]), 'None in its counts'),
    (code([True, 95]), 'True in its counts'),
    # -- strings
    (code(3), 'counts of the type int'),
    (code(''), 'empty counts'),
    (code(b''), 'empty counts'),
    (code(GOOD[:-1]), 'cut short: they end within a run'),
    (code(GOOD[:-2]), 'runs for'),  # cut between two runs
    (code(GOOD + '1'), 'runs for'),  # with a tail
    (code(GOOD + '\n'), r"byte b'\\n' in its counts at position"),
    (code('\0' + GOOD), 'position 0'),  # C would see an empty string
    (code(f"b'{GOOD}'"), r'counts\.decode\(\)'),  # str(rle['counts'])
    (code('µ'), 'position 0'),
    (code('\ud800'), 'position 0'),  # has no utf-8
    (code('O' + GOOD), 'less than no pixel'),  # -1, then the rest
    (code('PPPPPPPPP1'), 'more pixels than any frame'),  # 2^45: C overflows
    # -- polygons
    ([[1, 1, 5, 5]], 'no polygon of three points; write null'),  # the same
    ([[], [1, 1]], 'no polygon of three points'),
    (polygon(4, 6, None, 6), 'x coordinate None in polygon 0 at position 6'),
    (polygon(4, float('nan')), 'y coordinate nan'),
    (polygon(float('inf'), 6), 'x coordinate inf'),  # gigabytes
    (polygon(4, -float('inf')), 'y coordinate -inf'),
    (polygon(1e12, 6), 'x coordinate 1000000000000.0'),  # gigabytes
    (polygon(4, 10**400), 'y coordinate 1000'),  # no float at all
    (polygon('4', 6), "x coordinate '4'"),
    (polygon([4], 6), r'x coordinate \[4\]'),
    (polygon(True, 6), 'x coordinate True'),
    (polygon(4, 6, 5), '7 coordinates'),  # the last one has no partner
    ([[0, 0, 1, 1], [1, 2, float('nan'), 4]], 'in polygon 1'),  # a short one
    ([[0, 0, 12, 8] * 10_000], 'outline of'),  # to and fro
]


@pytest.mark.parametrize('bad, sentence', NOT_A_MASK)
def test_unreadable_mask(bad, sentence):
    good = code(GOOD)
    tracemalloc.start()
    with pytest.raises(MaskError, match=sentence) as error:
        to_rles([None, good, bad, good], (HEIGHT, WIDTH))
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert error.value.frame == 2 and len(str(error.value)) < 250


@pytest.mark.parametrize('bad', [
    mask for mask, _ in NOT_A_MASK if isinstance(mask, dict)
    and mask.get('size') in ([HEIGHT, WIDTH], [0, 0], [8., 12.], 96, None)])
def test_unreadable_code_of_any_size(bad):
    with pytest.raises(MaskError):
        to_rles([bad], None)


def test_results_have_no_polygons():
    with pytest.raises(MaskError, match='results need run-length codes'):
        to_rles([[[0, 0, 4, 0, 4, 4]]], None)
    assert to_rles([[], None], None) == [None, None]


@pytest.mark.parametrize('size', [(1 << 15, 1 << 14), (10**20, 1)])
def test_no_mask_is_larger_than_pycocotools_can_count(size):
    with pytest.raises(MaskError, match='a mask has less than 536870912'):
        to_rles([code([size[0] * size[1]], size)], None)


def test_long_runs_and_steps_back():
    """Runs of six groups, and differences of the same size."""
    runs = [199_999_999, 1, 1, 199_999_999]
    rle = to_rle(code(runs, (20_000, 20_000)), 20_000, 20_000)
    assert to_rles([rle], None) == [rle]
    assert mask_utils.area(rle) == 200_000_000


@pytest.mark.parametrize('share', [0, .01, .5, .99, 1])
def test_what_pycocotools_writes_is_taken_as_it_is(share):
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (1, 40), (40, 1), (37, 29), (400, 300)):
        masks = rng.random((height, width, 7)) < share
        rles = mask_utils.encode(np.asfortranarray(masks.astype(np.uint8)))
        text = [dict(r, counts=r['counts'].decode()) for r in rles]
        assert to_rles(text, (height, width)) == rles


def test_empty_runs_are_taken_out():
    """Where two masks have one at the same place, pycocotools stops."""
    runs = [0, 0, 10, 0, 0, 5, 0, 1, 80, 0]
    expected = np.zeros(FULL, np.uint8)
    expected[[*range(10, 16)]] = 1
    for counts in (runs, [0, 0, *runs]):
        rle = to_rle(code(counts), HEIGHT, WIDTH)
        np.testing.assert_array_equal(
            mask_utils.decode(rle).T.reshape(-1), expected)
        assert mask_utils.iou([rle], [rle], [False]) == 1
    # The same as a string: runs as differences to those two before.
    steps = runs[:3] + [b - a for a, b in zip(
        runs[1:], runs[3:], strict=False)]
    text = ''.join(
        chr(48 + (v & 31)) if -16 <= v < 16 else
        chr(48 + (v & 31 | 32)) + chr(48 + (v >> 5 & 31)) for v in steps)
    good = code(compressed(box_mask(3, 2, 5, 3))['counts'])
    found = to_rles([good, code(text), good], (HEIGHT, WIDTH))
    assert found[1] == rle and found[0] == found[2]


def test_batches_of_a_long_track(monkeypatch):
    monkeypatch.setattr('mmvis_memcnp.results.rle._BATCH', 40)
    masks = [box_mask(x, 1, 2, 3) for x in range(10)]
    track = [code(compressed(m)['counts']) for m in masks]
    assert to_rles(track, None) == [to_rle(m, HEIGHT, WIDTH) for m in track]
    track[8]['counts'] += '1'
    with pytest.raises(MaskError, match='runs for') as error:
        to_rles(track, None)
    assert error.value.frame == 8


def test_values_in_messages_are_short():
    deep: list = [12, 8]
    for _ in range(50):
        deep = [deep]
    for value in (deep, [{str(i): list(range(9)) for i in range(9)}] * 9,
                  'x' * 10**6, 10**300):
        assert len(short(value)) <= 120
    assert short([12, 8]) == '[12, 8]'
