"""Tracking scores of 200 generated videos are those of the reference tools.

tests/data/tracking_200/make.py asked TrackEval 1.3.0 and py-motmetrics 1.4.0.
"""
from pathlib import Path

import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import (
    HOTACounts,
    TrackingCounts,
    box_iou,
    count_hota,
    count_matches,
    count_tracking,
)

DATA = Path(__file__).resolve().parents[2] / 'data/tracking_200/cases.npz'
GROUP = 5


@pytest.fixture(scope='module')
def cases():
    with np.load(DATA) as file:
        return dict(file)


def tracks(cases, i):
    objects, found = cases[f'objects_{i}'], cases[f'found_{i}']
    ious = np.zeros((len(objects), len(found), objects.shape[1]))
    for t in range(objects.shape[1]):
        ious[..., t] = box_iou(objects[:, t], found[:, t])
    return ious, ~np.isnan(objects[..., 0]), ~np.isnan(found[..., 0])


def check(counts, expected, groups, names):
    """Each alone, and five together."""
    for found, rows in ((counts, expected),
                        ([sum(counts[k:k + GROUP], type(counts[0])())
                          for k in range(0, len(counts), GROUP)], groups)):
        assert len(found) == len(rows)
        for one, row in zip(found, rows, strict=True):
            scores = one.scores()
            np.testing.assert_allclose([scores[n] for n in names], row,
                                       rtol=0, atol=1e-9)


def test_hota_is_that_of_trackeval(cases):
    counts = [count_hota(*tracks(cases, i)) for i in range(200)]
    check(counts, cases['hota'], cases['hota_groups'], cases['hota_names'])
    # the cases are no trivial ones
    assert np.ptp(cases['hota'], 0).min() > .3
    assert isinstance(counts[0], HOTACounts)


def test_mot_numbers_are_those_of_motmetrics(cases):
    counts = [count_matches(*tracks(cases, i)) for i in range(200)]
    check(counts, cases['mot'], cases['mot_groups'], cases['mot_names'])
    total = sum(counts, TrackingCounts())
    assert total.num_switches > 50 and total.num_fragmentations > 50
    for i in range(200):
        assert count_tracking(
            cases[f'objects_{i}'], cases[f'found_{i}']).scores() == \
            pytest.approx(counts[i].scores(), nan_ok=True)


def test_perfect_and_nothing():
    there = np.ones((2, 5), bool)
    same = np.repeat(np.eye(2)[..., None], 5, 2)
    perfect = count_hota(same, there, there).scores()
    assert perfect == dict(HOTA=1, DetA=1, AssA=1, LocA=1)
    # identities exchanged after 3 of 5 frames: of the 6 boxes before, 3
    # of the 7 of both tracks are matched; of the 4 after, 2 of 8
    swapped = same.copy()
    swapped[..., 3:] = swapped[::-1, :, 3:]
    scores = count_hota(swapped, there, there).scores()
    assert scores['DetA'] == 1
    assert scores['AssA'] == pytest.approx((6 * 3 / 7 + 4 * 2 / 8) / 10)
    nothing = count_hota(np.zeros((2, 0, 5)), there, there[:0]).scores()
    assert nothing == dict(HOTA=0, DetA=0, AssA=0, LocA=1)
