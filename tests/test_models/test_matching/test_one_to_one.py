"""Costs against formulas, pair by pair, and Hungarian matching on them."""
import math

import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from scipy.optimize import linear_sum_assignment

from mmvis_memcnp.models.matching import (
    CostSum,
    OneToOneMatcher,
    Queries,
    SoftmaxCost,
)

from .objects import clips_of, frames_of

L, B, Q, K, T, G = 2, 2, 6, 4, 3, 3
COSTS = dict(cls=dict(type='FocalCost', weight=2.),
             bbox=dict(type='BoxCost', weight=5., norm=2.),
             giou=dict(type='GIoUCost', weight=2.))


def with_norm(norm):
    return dict(COSTS, bbox=dict(COSTS['bbox'], norm=norm))


def batch(frames=T, seed=0):
    """Queries (L, B, Q, ...) and objects (B, G, ...) of clips, or of single
    frames; the second clip has two objects, one of them absent at its end."""
    g = torch.Generator().manual_seed(seed)
    boxes = torch.rand(L, B, Q, frames, 4, generator=g) * .4 + .2
    gt = torch.rand(B, G, frames, 4, generator=g) * .4 + .2
    gt[1, 0, 2:] = 0.
    present = torch.ones(B, G, frames, dtype=torch.bool)
    present[1, 0, 2:] = present[1, 2] = False
    labels = torch.tensor([[3, 0, 1], [2, 2, 0]])
    logits = torch.randn(L, B, Q, K, generator=g)
    gt = bbox_cxcywh_to_xyxy(gt)
    if frames > 1:
        return Queries(logits, boxes), clips_of(gt, present, labels)
    return Queries(logits, boxes[:, :, :, 0]), frames_of(
        gt[:, :, 0], present[:, :, 0], labels)


def corners(box):
    x, y, w, h = box
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def giou(a, b):
    a, b = corners(a), corners(b)

    def area(c):
        return (c[2] - c[0]) * (c[3] - c[1])

    inter = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(
        min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = area(a) + area(b) - inter
    hull = area((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]),
                 max(a[3], b[3])))
    return inter / union - (hull - union) / hull


def by_hand(logits, boxes, label, gt, norm):
    """Cost of one pair from the formulas; a list of boxes each."""
    p = 1 / (1 + math.exp(-logits[label]))
    cls = -.25 * (1 - p)**2 * math.log(p + 1e-8) + .75 * p**2 * math.log(
        1 - p + 1e-8)
    distance = sum(abs(x - y)**norm for x, y in zip(
        sum(boxes, []), sum(gt, []), strict=True))**(1 / norm)
    overlap = sum(map(giou, boxes, gt)) / len(boxes)
    return 2 * cls + 5 * distance - 2 * overlap


@pytest.mark.parametrize('frames', [1, T])
@pytest.mark.parametrize('norm', [1., 2.])
def test_costs_and_pairs_equal_a_loop(frames, norm):
    """Every cost from the formulas, every pair from scipy on them."""
    queries, truth = batch(frames)
    cost = CostSum(with_norm(norm))(queries, truth)
    found = OneToOneMatcher(with_norm(norm)).match(queries, truth)
    assert cost.shape == (L, B, Q, G)
    for layer in range(L):
        for b, count in enumerate((3, 2)):
            wanted = [[
                by_hand(queries.logits[layer, b, q].tolist(),
                        queries.boxes[layer, b, q].view(-1, 4).tolist(),
                        int(truth.labels[b, g]),
                        truth.cxcywh[b, g].view(-1, 4).tolist(), norm)
                for g in range(count)
            ] for q in range(Q)]
            torch.testing.assert_close(
                cost[layer, b, :, :count], torch.tensor(wanted), atol=1e-4,
                rtol=1e-4)
            rows, columns = linear_sum_assignment(wanted)
            best = [-1] * G
            for row, column in zip(rows, columns, strict=True):
                best[column] = row
            assert found.best[layer, b].tolist() == best
            mine = (found.layer == layer) & (found.frame == b)
            assert found.query[mine].tolist() == rows.tolist()
            assert found.gt[mine].tolist() == columns.tolist()


def test_softmax_cost_by_hand():
    """Two logits and no object: e^0, e^log 2, e^0 of 4 in all."""
    logits = torch.tensor([[[0., math.log(2), 0.]]])
    truth = frames_of(torch.zeros(1, 2, 4),
                      torch.ones(1, 2, dtype=torch.bool),
                      torch.tensor([[1, 0]]))
    cost = SoftmaxCost()(Queries(logits), truth)
    torch.testing.assert_close(cost, torch.tensor([[[-.5, -.25]]]))


def test_a_weight_counts_its_term_alone():
    queries, truth = batch(1)
    parts = [CostSum({name: term})(queries, truth)
             for name, term in COSTS.items()]
    torch.testing.assert_close(CostSum(COSTS)(queries, truth), sum(parts))
    twice = dict(COSTS['bbox'], weight=10.)
    torch.testing.assert_close(CostSum(dict(a=twice))(queries, truth),
                               2 * parts[1])


@pytest.mark.parametrize('frames', [1, T])
def test_the_order_of_the_objects_does_not_matter(frames):
    queries, truth = batch(frames)
    order = torch.tensor([2, 0, 1])
    turned = truth._replace(**{
        name: getattr(truth, name)[:, order]
        for name in ('labels', 'cxcywh', 'xyxy', 'valid')})
    one, two = (OneToOneMatcher(COSTS).match(queries, t)
                for t in (truth, turned))
    assert (one.best >= 0).sum() == L * 5
    assert torch.equal(one.best[..., order], two.best)


def test_layers_and_clips_are_matched_one_by_one():
    queries, truth = batch()
    both = OneToOneMatcher(COSTS).match(queries, truth)
    for layer in range(L):
        for b in range(B):
            at = slice(layer, layer + 1), slice(b, b + 1)
            one = OneToOneMatcher(COSTS).match(
                Queries(queries.logits[at], queries.boxes[at]),
                type(truth)(*(x[at[1]] for x in truth)))
            assert torch.equal(both.gt_index[at], one.gt_index)


def test_without_objects():
    queries, truth = batch()
    found = OneToOneMatcher(COSTS).match(
        queries, truth._replace(valid=torch.zeros_like(truth.valid)))
    assert [len(x) for x in found.pairs] == [0] * 4
    assert found.neg.all() and (found.best == -1).all()


def test_more_objects_than_queries():
    queries, truth = batch()
    found = OneToOneMatcher(COSTS).match(
        Queries(queries.logits[:, :, :2], queries.boxes[:, :, :2]), truth)
    assert found.pos.all()  # both queries of every layer and clip
    assert ((found.best >= 0).sum(-1) == 2).all()


def test_what_is_not_finite_is_left_to_the_losses():
    queries, truth = batch()
    queries.logits[0, 0, 1] = float('nan')
    queries.boxes[0, 0, 2] = float('inf')
    found = OneToOneMatcher(COSTS).match(queries, truth)
    assert not {1, 2} & set(found.best[0, 0].tolist())
    assert (found.best >= 0).sum() == L * 5


def test_half_precision_decides_as_single():
    queries, truth = batch()
    logits = queries.logits.bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = OneToOneMatcher(COSTS).match(queries._replace(logits=logits),
                                            truth)
    single = OneToOneMatcher(COSTS).match(
        queries._replace(logits=logits.float()), truth)
    assert torch.equal(half.best, single.best)
