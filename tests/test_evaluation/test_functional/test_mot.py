import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import (
    TrackingCounts,
    box_iou,
    count_tracking,
)

A, B, FAR = (0, 0, 2, 2), (10, 0, 2, 2), (50, 50, 2, 2)
NONE = (np.nan, ) * 4


def boxes(*tracks):
    return np.array(tracks, float).reshape(len(tracks), -1, 4)


def test_box_iou():
    iou = box_iou(np.array([[0, 0, 2, 2.]]),
                  np.array([[1, 0, 2, 2], [2, 0, 2, 2], [0, 0, 0, 0.]]))
    np.testing.assert_allclose(iou, [[1 / 3, 0, 0]])


def test_perfect():
    found = count_tracking(boxes([A, A], [B, B]), boxes([B, B], [A, A]))
    scores = found.scores()
    assert scores['mota'] == scores['idf1'] == scores['recall'] == 1
    assert scores['motp'] == 0 and scores['num_matches'] == 4
    assert scores['mostly_tracked'] == 2


def test_two_tracks_exchange_their_identities():
    found = count_tracking(boxes([A] * 4, [B] * 4),
                           boxes([A, A, A, B], [B, B, B, A]))
    scores = found.scores()
    assert scores['num_switches'] == 2
    assert scores['mota'] == 1 - 2 / 8
    assert scores['idtp'] == 6 and scores['idf1'] == 6 / 8
    assert scores['precision'] == 1  # a switch is still a detection


def test_identity_is_kept_over_a_gap_and_counts_a_fragmentation():
    found = count_tracking(boxes([A] * 5), boxes([A, NONE, A, NONE, NONE]))
    assert found.num_switches == 0
    assert found.num_fragmentations == 1  # the end of the track is no gap
    assert found.num_misses == 3 and found.partially_tracked == 1


def test_earlier_partner_wins_over_a_nearer_newcomer():
    near = (.1, 0, 2, 2)
    found = count_tracking(boxes([A, A]), boxes([near, near], [NONE, A]))
    assert found.num_switches == 0 and found.num_false_positives == 1


def test_as_many_pairs_as_possible_before_the_smallest_distance():
    # object 0 fits both, object 1 only the first prediction
    objects = boxes([(0, 0, 10, 1)], [(3, 0, 10, 1)])
    found = count_tracking(objects, boxes([(1, 0, 10, 1)], [(-3, 0, 10, 1)]))
    assert found.num_matches == 2 and found.num_misses == 0


@pytest.mark.parametrize('shift, matches', [(1, 1), (1.1, 0)])
def test_distance_limit_is_inclusive(shift, matches):
    # boxes of width 3 that share 2 of 4: IoU 0.5
    found = count_tracking(boxes([(0, 0, 3, 1)]), boxes([(shift, 0, 3, 1)]))
    assert found.num_matches == matches


def test_nothing_on_either_side():
    empty = np.zeros((0, 3, 4))
    scores = count_tracking(empty, empty).scores()
    assert scores['num_frames'] == 3 and np.isnan(scores['idf1'])
    false = count_tracking(empty, boxes([A, A, A]))
    assert false.num_false_positives == 3 and false.scores()['idp'] == 0
    missed = count_tracking(boxes([A, NONE, A]), empty)
    assert missed.num_misses == 2 and missed.mostly_lost == 1
    with pytest.raises(ValueError, match='frames'):
        count_tracking(empty, boxes([A]))


def test_data_set_numbers_come_from_sums():
    one = count_tracking(boxes([A]), boxes([A]))
    two = count_tracking(boxes([A] * 3), boxes([FAR] * 3))
    total = sum([one, two], TrackingCounts()).scores()
    assert total['mota'] == 1 - 6 / 4  # not the mean of 1 and -1
    assert total['idf1'] == 2 / 8
    assert np.isnan(total['motp'])  # a video without matches
