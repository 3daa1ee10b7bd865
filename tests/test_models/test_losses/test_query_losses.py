"""Losses of query systems, by hand."""
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy

from mmvis_memcnp.models.losses import QueryLoss, TemporalContrastiveLoss
from mmvis_memcnp.models.truth import GroundTruth, Matches


def pairs(*quadruples):
    """Of layer (of two), clip (of one), query (of three) and object."""
    index = torch.full((2, 1, 3), -1)
    for layer, clip, query, gt in quadruples:
        index[layer, clip, query] = gt
    return Matches(index)


def truth(boxes):
    """Boxes (1, G, 4), cx, cy, w, h, of a frame of 1 x 1 pixels."""
    labels = torch.zeros(boxes.shape[:2], dtype=torch.long)
    return GroundTruth.of(bbox_cxcywh_to_xyxy(boxes), torch.ones(1, 2),
                          labels, labels, labels == 0)


def test_focal_loss_of_the_classes():
    logits = torch.zeros(2, 1, 3, 2)
    loss = QueryLoss().classes(logits, torch.tensor([[1]]),
                               pairs((1, 0, 2, 0)))
    negative, positive = .75 * .25 * math.log(2), .25 * .25 * math.log(2)
    assert loss.tolist() == pytest.approx(
        [6 * negative, 5 * negative + positive])


def test_boxes_of_each_layer():
    boxes = torch.tensor([.5, .5, .2, .2]).expand(2, 1, 3, 4)
    target = torch.tensor([[[.5, .5, .2, .2], [.6, .5, .2, .4]]])
    distance, giou = QueryLoss().boxes(
        boxes, truth(target), pairs((0, 0, 1, 0), (1, 0, 2, 1)))
    assert distance.tolist() == pytest.approx([0, .3], abs=1e-6)
    inter, union, hull = .1 * .2, .04 + .08 - .02, .3 * .4
    assert giou.tolist() == pytest.approx(
        [0, 1 - inter / union + (hull - union) / hull], abs=1e-5)


def test_boxes_of_clips_are_means_over_their_frames():
    """The same pair in one frame and in three, two of which fit."""
    own = torch.tensor([.5, .5, .2, .2])
    target = torch.tensor([.6, .5, .2, .4]).expand(1, 1, 4)
    one = QueryLoss().boxes(own.expand(2, 1, 3, 4), truth(target),
                            pairs((1, 0, 0, 0)))
    frames = truth(target)._asdict()
    frames = SimpleNamespace(**{
        name: torch.stack([bbox_cxcywh_to_xyxy(own) if name == 'xyxy' else own
                           ] * 2 + [frames[name][0, 0]])[None, None]
        for name in ('cxcywh', 'xyxy')})
    three = QueryLoss().boxes(own.expand(2, 1, 3, 3, 4), frames,
                              pairs((1, 0, 0, 0)))
    for single, mean in zip(one, three, strict=True):
        assert float(single[1]) > 0 and mean[0] == 0
        assert float(mean[1]) == pytest.approx(float(single[1]) / 3, abs=1e-5)


def test_masks_of_each_layer():
    target = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    target[0, 0, 0] = True
    logits = torch.zeros(1, 2, 2)
    focal, dice = QueryLoss().masks(logits, target, pairs((1, 0, 0, 0)), 2)
    assert focal.tolist() == pytest.approx(
        [0, .5 * .25 * math.log(2)])
    assert dice.tolist() == pytest.approx([0, 1 - 3 / 5])


def test_contrast_by_hand():
    x = F.normalize(torch.tensor([[[1., 0.], [.6, .8], [0., 1.]]]), dim=-1)
    objects = torch.tensor([[4, 4, -1]])
    loss = TemporalContrastiveLoss(temperature=.5, loss_weight=2.)
    expected = 0.
    for i, j in ((0, 1), (1, 0)):
        similar = torch.tensor([float(x[0, i] @ x[0, k]) / .5
                                for k in range(3) if k != i])
        own = float(x[0, i] @ x[0, j]) / .5
        expected += (float(similar.exp().sum().log()) - own) / 2
    assert float(loss(3 * x, objects)) == pytest.approx(2 * expected,
                                                        rel=1e-5)


@pytest.mark.parametrize('objects', [[[-1, -1, -1]], [[0, 1, -1]]])
def test_contrast_without_a_pair_is_zero_and_on_the_graph(objects):
    x = torch.rand(1, 3, 4, requires_grad=True)
    loss = TemporalContrastiveLoss()(x, torch.tensor(objects))
    assert loss == 0
    loss.backward()
    assert x.grad.isfinite().all()


def test_clips_do_not_push_each_other():
    x = torch.rand(2, 4, 5)
    objects = torch.tensor([[0, 0, 1, -1], [0, 0, 2, 2]])
    loss = TemporalContrastiveLoss()
    one, two = loss(x[:1], objects[:1]), loss(x[1:], objects[1:])
    assert loss(x, objects) == pytest.approx((2 * one + 4 * two) / 6)
