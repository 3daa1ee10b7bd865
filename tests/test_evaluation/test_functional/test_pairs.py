"""Predictions with their truth, by hand and against loops."""
import math

import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import (
    GTTrack,
    Pairs,
    pair_frame,
    pair_video,
)
from mmvis_memcnp.results.sinks import Record

from ..toy import rle


def frame(boxes, labels, gt_boxes, gt_labels, **kwargs):
    boxes = np.array(boxes, float).reshape(-1, 4)
    return pair_frame(
        boxes, np.linspace(.9, .5, len(boxes)), np.array(labels),
        np.array(gt_boxes, float).reshape(-1, 4), np.array(gt_labels),
        **kwargs)


@pytest.mark.parametrize('box, label, iou, class_iou, error', [
    ([0, 0, 4, 4], 1, 1, 1, [0, 0, 0, 0]),  # exactly the cat
    ([0, 0, 4, 2], 1, .5, .5, [0, 0, 0, -2]),  # its upper half
    ([0, 0, 4, 4], 2, 1, 0, [0, 0, 0, 0]),  # well placed, wrong name
    ([11, 0, 15, 4], 1, 3 / 5, 0, [1, 0, 1, 0]),  # on the dog
    ([10, 0, 14, 4], 2, 1, 1, [0, 0, 0, 0]),
    ([50, 0, 54, 4], 1, 0, 0, [math.nan] * 4),  # touches nothing
])
def test_one_prediction(box, label, iou, class_iou, error):
    """A cat (1) at x = 0 and a dog (2) at x = 10, both 4 x 4."""
    found = frame([box], [label], [[0, 0, 4, 4], [10, 0, 14, 4]], [1, 2])
    assert found.ious == pytest.approx([iou])
    assert found.class_ious == pytest.approx([class_iou])
    np.testing.assert_array_equal(found.errors, [error])
    assert np.isnan(found.sigmas).all()
    assert found.scores == [.9] and np.isnan(found.class_probs).all()


def test_predictions_on_crowds_are_left_out():
    found = frame(
        [[0, 0, 4, 4], [10, 0, 14, 3], [50, 0, 51, 1]], [1, 1, 1],
        [[0, 0, 4, 4], [10, 0, 14, 4]], [1, 1],
        gt_crowd=np.array([False, True]))
    assert found.ious.tolist() == found.class_ious.tolist() == [1, 0]
    # What touches nothing is not on a crowd, though it is listed first.
    found = frame([[50, 0, 51, 1]], [1], [[0, 0, 4, 4]], [1],
                  gt_crowd=np.array([True]))
    assert found.ious.tolist() == [0]


def test_frames_without_objects_or_predictions():
    found = frame([[0, 0, 4, 4]], [1], [], [])
    assert found.ious.tolist() == found.class_ious.tolist() == [0]
    assert np.isnan(found.errors).all()
    assert len(frame([], [], [[0, 0, 4, 4]], [1])) == 0
    assert len(Pairs.join([])) == 0 and Pairs.join([]).sigmas.shape == (0, 4)


def test_many_are_as_one_by_one():
    rng = np.random.default_rng(0)

    def draw(count):
        corner = rng.uniform(0, 20, (count, 2))
        return np.c_[corner, corner + rng.uniform(1, 20, (count, 2))]

    boxes, truth = draw(30), draw(7)
    labels, kinds = rng.integers(0, 3, 30), rng.integers(0, 3, 7)
    crowd = np.arange(7) % 3 == 0
    sigmas, scores = rng.random((30, 4)), rng.random(30)
    whole = pair_frame(boxes, scores, labels, truth, kinds, sigmas,
                       scores / 2, crowd, scores / 3, scores / 4, (40, 50))
    single = Pairs.join(
        pair_frame(boxes[i:i + 1], scores[i:i + 1], labels[i:i + 1], truth,
                   kinds, sigmas[i:i + 1], scores[i:i + 1] / 2, crowd,
                   scores[i:i + 1] / 3, scores[i:i + 1] / 4, (40, 50))
        for i in range(30))
    assert 0 < len(whole) < 30
    np.testing.assert_array_equal(whole.uncertainties, whole.scores / 4)
    np.testing.assert_array_equal(whole.centernesses, whole.scores / 3)
    for name, value in vars(whole).items():
        np.testing.assert_array_equal(value, getattr(single, name))


def test_a_video():
    """Two frames of 8 x 4 pixels (w x h); masks give the true boxes."""
    size = (4, 8)
    cat = GTTrack(7, False, 4., [rle(np.s_[:2, :2], size=size), None])
    tracks = [(7, [
        Record(0, 3, 0, .8, (0., 0., 2., 2.), (.25, .5, .25, .5), {}, .9,
               .5, 3.),
        Record(1, 3, 0, .7, (0., 0., 2., 2.), (.25, .25, .25, .25), {}),
        Record(1, 3, 0, .1, (0., 0., 2., 2.), (.25, .25, .25, .25), {}),
    ]), (9, [Record(0, 4, 1, .6, (0., 0., 2., 1.), None, {})])]
    found = pair_video(tracks, [cat], size, 2, score_thr=.2)
    assert found.scores.tolist() == [.8, .6, .7]  # frame after frame
    assert found.ious.tolist() == [1, .5, 0]  # gone in frame 1
    assert found.class_ious.tolist() == [1, 0, 0]
    # Fractions of 8 x 4 pixels; the second model says none.
    np.testing.assert_array_equal(
        found.sigmas, [[2, 2, 2, 2], [np.nan] * 4, [2, 1, 2, 1]])
    np.testing.assert_array_equal(
        found.errors, [[0] * 4, [0, 0, 0, -1], [np.nan] * 4])
    for name, value in dict(class_probs=.9, centernesses=.5,
                            uncertainties=3.).items():
        np.testing.assert_array_equal(getattr(found, name),
                                      [value, np.nan, np.nan])
    assert found.sides.tolist() == [[2, 2] * 2, [2, 1] * 2, [2, 2] * 2]
    assert found.frames.tolist() == [[8, 4] * 2] * 3


def test_some_of_them():
    found = frame([[0, 0, 4, 4], [10, 0, 14, 4]], [1, 1], [[0, 0, 4, 4]], [1])
    for which in (np.array([False, True]), np.array([1])):
        assert found[which].ious.tolist() == [0]
        assert found[which].sides.shape == (1, 4)
