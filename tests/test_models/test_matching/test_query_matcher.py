"""Objects keep their queries; new ones are matched when they appear."""
import numpy as np
import pytest
import torch

from mmvis_memcnp.models.matching import ClipAssignment, ClipQueryMatcher
from mmvis_memcnp.models.truth.clip_truth import ClipTruth

BOXES = torch.tensor([[.2, .2, .2, .2], [.5, .5, .2, .2], [.8, .8, .2, .2]])


def truth(present):
    """Three objects of one clip; ``present``: a row of 0 and 1 a frame."""
    present = torch.tensor(present, dtype=torch.bool).t()[None]
    length = present.shape[2]
    boxes = BOXES[None, :, None].expand(1, 3, length, 4)
    return ClipTruth(
        torch.zeros(1, 3, dtype=torch.long),
        boxes.where(present[..., None], 1e-6),
        torch.zeros(1, 3, length, 4, 4, dtype=torch.bool), present,
        torch.ones(1, 3, dtype=torch.bool),
        torch.full((1, length, 2), 16.))


def follow(matcher, gt, boxes):
    """Queries of the objects after each frame; boxes: (Q, 4) a frame."""
    assignment = ClipAssignment(gt, num_layers=1)
    found = []
    for t, own in enumerate(boxes):
        logits = torch.zeros(1, 1, len(own), 2)
        matcher.update(assignment, t, logits, own[None, None],
                       gt.boxes[:, :, t], gt.labels)
        found.append(assignment.query[0, 0].tolist())
    return assignment, found


def test_matched_on_appearance_and_kept():
    order = BOXES[[2, 0, 1, 1]]
    turned = order.flip(0)
    gt = truth([[1, 0, 0], [1, 1, 0], [0, 1, 1]])
    assignment, found = follow(ClipQueryMatcher(), gt,
                               [order, turned, turned])
    # object 1 is at queries 0 and 1 of the second frame, 1 is taken
    assert found == [[1, -1, -1], [1, 0, -1], [1, 0, 3]]
    matcher = ClipQueryMatcher()
    assert matcher.wanted(assignment, 2).tolist() == [[False, True, True]]
    rows = assignment.rows(matcher.wanted(assignment, 2))
    assert rows.tolist() == [[0, 0], [0, 0], [0, 3], [1, 2]]
    assert assignment.objects_of_queries(4).tolist() == [[1, 0, -1, 2]]


def test_first_frame_matches_all_at_once():
    gt = truth([[1, 0, 0], [1, 1, 1]])
    matcher = ClipQueryMatcher(rule='first_frame')
    assignment, found = follow(matcher, gt, [BOXES, BOXES])
    assert sorted(found[0]) == [0, 1, 2] and found[0] == found[1]
    assert found[0][0] == 0
    assert matcher.wanted(assignment, 0).all()


def test_more_objects_than_queries():
    _, found = follow(ClipQueryMatcher(), truth([[1, 1, 1], [1, 1, 1]]),
                      [BOXES[1:2], BOXES[1:2]])
    assert found == [[-1, 0, -1]] * 2


def test_cost_by_hand():
    matcher = ClipQueryMatcher(cls_weight=1., box_weight=5., giou_weight=2.)
    logit = torch.tensor(0.).view(1, 1, 1, 1)
    box = BOXES[:1].view(1, 1, 1, 4)
    far = torch.tensor([[[.8, .2, .2, .2]]])
    focal = (.25 - .75) * .25 * np.log(2)
    label = torch.zeros(1, 1, dtype=torch.long)
    same = matcher.cost(logit, box, box[0], label)
    assert float(same) == pytest.approx(focal - 2, abs=1e-4)
    # the hull is 0.8 x 0.2, half of it empty
    other = matcher.cost(logit, box, far, label)
    assert float(other) == pytest.approx(focal + 5 * .6 + 2 * .5, abs=1e-4)


@pytest.mark.parametrize('norm, expected', [(1, .7), (2, .5)])
def test_norm_of_the_boxes(norm, expected):
    matcher = ClipQueryMatcher(cls_weight=0., box_weight=1., giou_weight=0.,
                               box_norm=norm)
    box = torch.tensor([.2, .2, .2, .2]).view(1, 1, 1, 4)
    other = torch.tensor([[[.5, .6, .2, .2]]])
    cost = matcher.cost(torch.zeros(1, 1, 1, 1), box, other,
                        torch.zeros(1, 1, dtype=torch.long))
    assert float(cost) == pytest.approx(expected, abs=1e-6)


def test_not_a_number_does_not_stop_the_matching():
    boxes = torch.full((3, 4), float('nan'))
    _, found = follow(ClipQueryMatcher(), truth([[1, 1, 1]]), [boxes])
    assert sorted(found[0]) == [0, 1, 2]
