"""Fast NMS of boxes, and the two conventions of their IoU."""
import pytest
import torch

from mmvis_memcnp.models.layers import fast_nms, pairwise_iou
from mmvis_memcnp.models.layers.fast_nms import NMS_RULES


def test_iou_conventions():
    a = torch.tensor([[0., 0, 9, 9]])
    b = torch.tensor([[5., 0, 14, 9], [20, 20, 30, 30], [0, 0, 9, 9]])
    assert torch.allclose(pairwise_iou(a, b, 1.),
                          torch.tensor([[1 / 3, 0, 1.]]))
    assert torch.allclose(pairwise_iou(a, b, 0.),
                          torch.tensor([[36 / 126, 0, 1.]]))
    point = torch.zeros(1, 4)
    assert pairwise_iou(point, point, 0.).item() == 0


def test_fast_nms_by_hand():
    """A suppressed box still suppresses; classes do not meet."""
    boxes = torch.tensor([[0., 0, 10, 10], [0, 3, 10, 13], [0, 6, 10, 16],
                          [50, 0, 60, 10]])
    scores = torch.tensor([[.9, .8, .7, .05], [.0, .6, .0, .65]])
    kept, score, label, row = fast_nms(boxes, scores, 0.5, 0.1, 200, 10)
    # IoU 7/13 between neighbours: 1 falls to 0, 2 falls to the fallen 1
    assert row.tolist() == [0, 3, 1] and label.tolist() == [0, 1, 1]
    assert torch.allclose(score, torch.tensor([.9, .65, .6]))
    assert torch.equal(kept, boxes[row])
    assert fast_nms(boxes, scores, 0.5, 0.1, 200, 2)[3].tolist() == [0, 3]
    # only the best of each class takes part
    assert fast_nms(boxes, scores, 0.5, 0.1, 1, 9)[3].tolist() == [0, 3]


@pytest.mark.parametrize('rule, kept', [
    # box 3 survives under both of its labels
    ('every_label', [(0, 0, .9), (1, 1, .8), (2, 0, .7), (3, 1, .6),
                     (3, 0, .3)]),
    # its second label is gone; 0 and 1 overlap, but their labels differ
    ('one_label', [(0, 0, .9), (1, 1, .8), (2, 0, .7), (3, 1, .6)]),
    # now 1 falls to 0, and 2 to the fallen 1
    ('class_agnostic', [(0, 0, .9), (3, 1, .6)]),
])
def test_rules_by_hand(rule, kept):
    """(row, label, score), boxes 0 to 2 in a chain, 3 alone."""
    boxes = torch.tensor([[0., 0, 10, 10], [0, 3, 10, 13], [0, 6, 10, 16],
                          [50, 0, 60, 10]])
    scores = torch.tensor([[.9, .1, .7, .3], [.0, .8, .0, .6]])
    found, score, label, row = fast_nms(boxes, scores, 0.5, 0.05, 200, 10,
                                        rule)
    assert list(zip(row.tolist(), label.tolist(), strict=True)) == [
        k[:2] for k in kept]
    assert score.tolist() == pytest.approx([k[2] for k in kept])
    assert torch.equal(found, boxes[row])


@pytest.mark.parametrize('rule', NMS_RULES)
@pytest.mark.parametrize('num', [0, 3])
def test_fast_nms_of_nothing(num, rule):
    kept, score, label, row = fast_nms(
        torch.rand(num, 4), torch.zeros(2, num), 0.5, 0.1, 200, 10, rule)
    assert kept.shape == (0, 4)
    assert [len(x) for x in (score, label, row)] == [0, 0, 0]
