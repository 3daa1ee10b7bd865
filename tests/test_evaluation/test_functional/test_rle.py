import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.evaluation.functional import (
    areas,
    intersections,
    stack_boxes,
    tight_boxes,
)
from mmvis_memcnp.evaluation.functional.ground_truth import stack_areas

from ..toy import rle, rows


def test_areas_and_boxes_of_a_track():
    track = [rle((1, 2), (3, 3)), None, rle()]
    assert areas(track).tolist() == [2, 0, 0]
    boxes = tight_boxes(track)
    assert boxes[0].tolist() == [2, 1, 2, 3]  # x, y, w, h
    assert np.isnan(boxes[1:]).all()
    assert stack_boxes([track, track[:1]], 3).shape == (2, 3, 4)


def sums(tracks, others):
    found = intersections(tracks, others, stack_areas(tracks),
                          stack_areas(others))
    return [f.tolist() for f in found]


def test_sums_over_frames():
    a, b = [rows(0, 1), None], [rows(1, 2), rows(3)]
    # frame 0: 4 of 12 pixels; frame 1: nothing of 4
    assert sums([a], [b]) == [[[4]], [[16]]]
    assert sums([[None, None]], [b]) == [[[0]], [[12]]]
    assert sums([[None]], [[None]]) == [[[0]], [[0]]]


def test_shorter_track_ends_the_sum():
    a, b = [rows(0)], [rows(0), rows(0, 1)]
    assert sums([a], [b]) == sums([b], [a]) == [[[4]], [[4]]]
    # other pairs of the same call go on
    assert sums([a, b], [b]) == [[[4], [12]], [[4], [12]]]


@pytest.mark.parametrize('other', [rows(0, size=(4, 5)),
                                   rows(3, size=(4, 5)),
                                   rle(size=(5, 4))])
def test_frames_of_different_size_are_refused(other):
    track = [[rows(0), rows(1)]]
    with pytest.raises(ValueError, match=r'frame 1 has the size \[4, 4\]'):
        sums(track, [[None, other]])
    # what is not compared may be of any size
    assert sums(track, [[rows(0)], [None, rows(0)]]) == [[[4, 0]], [[4, 12]]]


def test_equal_to_decoded_masks():
    rng = np.random.default_rng(0)
    masks = rng.random((5, 6, 13, 17)) < .4
    masks[rng.random((5, 6)) < .3] = False
    codes = [[
        mask_utils.encode(np.asfortranarray(m.astype(np.uint8)))
        if m.any() else None for m in track
    ] for track in masks]
    inter, union = sums(codes[:3], codes[3:])
    x, y = masks[:3, None], masks[None, 3:]
    assert inter == (x & y).sum((2, 3, 4)).tolist()
    assert union == (x | y).sum((2, 3, 4)).tolist()
