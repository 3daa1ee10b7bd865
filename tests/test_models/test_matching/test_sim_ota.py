"""SimOTA of queries equals a plain loop."""
import math

import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy

from mmvis_memcnp.models.matching import Queries, SimOTAMatcher

from .objects import frames_of

COSTS = dict(cls=dict(type='FocalCost', weight=1.),
             giou=dict(type='GIoUCost', weight=3.))


def match(probs, boxes, gts, labels, valid, topk=None):
    """Boxes as cx, cy, w, h."""
    return SimOTAMatcher(COSTS).match(
        Queries(probs.logit(), boxes),
        frames_of(bbox_cxcywh_to_xyxy(gts), valid, labels), topk)


def corners(box):
    x, y, w, h = (float(v) for v in box)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def overlap(one, other):
    """IoU and GIoU of two boxes cx, cy, w, h."""
    a, b = corners(one), corners(other)
    inter = (max(0., min(a[2], b[2]) - max(a[0], b[0])) *
             max(0., min(a[3], b[3]) - max(a[1], b[1])))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    union -= inter
    hull = ((max(a[2], b[2]) - min(a[0], b[0])) *
            (max(a[3], b[3]) - min(a[1], b[1])))
    return inter / union, inter / union - (hull - union) / hull


def loop_costs(probs, boxes, gts, labels):
    """Costs and IoUs, pair by pair."""
    radius, cost, ious = 2.5 / 32, [], []
    for prob, box in zip(probs, boxes, strict=True):
        x, y = float(box[0]), float(box[1])
        inside, near, row, row_iou = [], [], [], []
        for gt, label in zip(gts, labels, strict=True):
            x1, y1, x2, y2 = corners(gt)
            inside.append(x1 < x < x2 and y1 < y < y2)
            near.append(abs(x - float(gt[0])) < radius and
                        abs(y - float(gt[1])) < radius)
            p = float(prob[label])
            focal = (.25 * (1 - p)**2 * -math.log(p + 1e-8) -
                     .75 * p**2 * -math.log(1 - p + 1e-8))
            iou, giou = overlap(box, gt)
            row.append(focal - 3 * giou +
                       100 * (not (inside[-1] and near[-1])))
            row_iou.append(iou)
        if not any(inside + near):
            row = [v + 10000 for v in row]
        cost.append(row)
        ious.append(row_iou)
    return cost, ious


def loop_assign(cost, ious, topk=10):
    """Chosen ground truth of each query (-1), best query of each."""
    queries, gts = len(cost), len(cost[0])
    taken = [set() for _ in range(queries)]
    for g in range(gts):
        best = sorted((row[g] for row in ious), reverse=True)[:topk]
        wanted = max(1, int(sum(best)))
        for q in sorted(range(queries), key=lambda q: cost[q][g])[:wanted]:
            taken[q].add(g)
    for q, claims in enumerate(taken):
        if len(claims) > 1:
            taken[q] = {min(range(gts), key=lambda g: cost[q][g])}
    while True:
        empty = [g for g in range(gts) if not any(g in t for t in taken)]
        free = [q for q in range(queries) if not taken[q]]
        if not empty or not free:
            break
        wishes = {}
        for g in empty:
            q = min(free, key=lambda q: cost[q][g])
            wishes.setdefault(q, []).append(g)
        for q, rivals in wishes.items():
            taken[q] = {min(rivals, key=lambda g: cost[q][g])}
    chosen = [next(iter(t)) if t else -1 for t in taken]
    best = []
    for g in range(gts):
        own = [q for q in range(queries) if chosen[q] == g]
        best.append(min(own or range(queries), key=lambda q: cost[q][g]))
    return chosen, best


def draw(seed, queries=40, gts=4, classes=5, near=0.1, frames=3):
    """Predictions around the ground truths; objects may share a place."""
    g = torch.Generator().manual_seed(seed)
    truth = torch.cat((torch.rand(frames, gts, 2, generator=g) * .6 + .2,
                       torch.rand(frames, gts, 2, generator=g) * .3 + .1), -1)
    of = torch.randint(0, gts, (frames, queries, 1), generator=g)
    boxes = truth.gather(1, of.expand(-1, -1, 4))
    boxes = boxes + torch.randn(boxes.shape, generator=g) * near
    boxes[..., 2:] = boxes[..., 2:].clamp(min=.05)
    return (torch.rand(frames, queries, classes, generator=g) * .98 + .01,
            boxes, truth, torch.randint(0, classes, (frames, gts),
                                        generator=g))


@pytest.mark.parametrize('seed, options', [
    (0, dict()), (1, dict(near=.02)), (2, dict(gts=12, queries=14)),
    (3, dict(gts=1)), (4, dict(queries=6, gts=5, near=.3)),
    (5, dict(gts=9, queries=60, near=.01)), (6, dict(gts=20, queries=20)),
])
def test_equals_a_loop(seed, options):
    probs, boxes, gts, labels = draw(seed, **options)
    frames, count = labels.shape
    valid = torch.arange(count) < torch.tensor(
        [[count], [max(1, count // 2)], [0]])
    out = match(probs, boxes, gts, labels, valid)
    for b in range(frames):
        n = int(valid[b].sum())
        if n == 0:
            assert (out.gt_index[b] == -1).all()
            continue
        chosen, best = loop_assign(
            *loop_costs(probs[b], boxes[b], gts[b, :n], labels[b, :n]))
        assert out.gt_index[b].tolist() == chosen
        assert out.best[b, :n].tolist() == best


def test_two_losers_that_want_one_query():
    """The cheaper one gets it, the other its next."""
    cost = torch.tensor([[[1., 2., 3.], [9., 1., 0.5], [9., 3., 4.]]])
    matched = torch.zeros(1, 3, 3, dtype=torch.bool)
    matched[0, 0, 0] = True
    out = SimOTAMatcher.resolve(matched, cost)
    assert out[0].nonzero().tolist() == [[0, 0], [1, 2], [2, 1]]


def test_more_objects_than_queries():
    probs, boxes, gts, labels = draw(7, queries=3, gts=8, frames=2)
    out = match(probs, boxes, gts, labels,
                torch.ones(2, 8, dtype=torch.bool))
    assert (out.gt_index >= 0).all()
    assert out.best.max() < 3


def test_layers_are_matched_one_by_one():
    """(L, B, Q, .) against (B, G, .), and the order of the objects."""
    draws = [draw(seed) for seed in (10, 11)]
    probs, boxes = (torch.stack([d[i] for d in draws]) for i in (0, 1))
    gts, labels = draws[0][2:]
    valid = torch.ones(3, 4, dtype=torch.bool)
    both = match(probs, boxes, gts, labels, valid)
    order = torch.tensor([2, 0, 3, 1])
    turned = match(probs, boxes, gts[:, order], labels[:, order], valid)
    for layer in range(2):
        one = match(probs[layer], boxes[layer], gts, labels, valid)
        assert torch.equal(both.gt_index[layer], one.gt_index)
        assert torch.equal(both.best[layer], one.best)
    assert torch.equal(both.best[..., order], turned.best)
    assert torch.equal(both.pos, turned.pos)
    assert torch.equal(both.gt_index[both.pos],
                       order[turned.gt_index[turned.pos]])


def test_wider_candidates_hold_the_narrow_ones():
    probs, boxes, gts, labels = draw(8, gts=2, near=.02)
    valid = torch.ones(3, 2, dtype=torch.bool)
    narrow, wide = (
        match(probs, boxes, gts, labels, valid, topk).of_each_object(2)
        for topk in (10, 100))
    assert (narrow <= wide).all() and narrow.sum() < wide.sum()
    assert (wide.sum(1) <= 1).all()


def test_half_precision_decides_as_single():
    probs, boxes, gts, labels = (
        x.bfloat16().float() if x.is_floating_point() else x for x in draw(9))
    truth = frames_of(bbox_cxcywh_to_xyxy(gts),
                      torch.ones(3, 4, dtype=torch.bool), labels)
    logits = probs.logit().bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        half = SimOTAMatcher(COSTS).match(
            Queries(logits, boxes.bfloat16()), truth)
    single = SimOTAMatcher(COSTS).match(
        Queries(logits.float(), boxes), truth)
    assert single.pos.any()
    assert torch.equal(half.gt_index, single.gt_index)
