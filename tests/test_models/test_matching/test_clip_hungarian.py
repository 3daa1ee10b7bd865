"""Assignment of clips' objects to queries."""
import math

import pytest
import torch
from mmdet.registry import TASK_UTILS
from scipy.optimize import linear_sum_assignment

from mmvis_memcnp.models.matching import ClipHungarianAssigner

B, Q, K, T, G = 2, 6, 4, 3, 3


def batch(seed=0):
    """Logits, boxes, labels, boxes and validity of ground truths; the
    second clip has two objects, one of them absent in a frame."""
    g = torch.Generator().manual_seed(seed)
    boxes = torch.rand(B, Q, T, 4, generator=g) * .4 + .2
    gt = torch.rand(B, G, T, 4, generator=g) * .4 + .2
    gt[1, 0, 2] = 0.
    valid = torch.tensor([[True] * 3, [True, True, False]])
    return (torch.randn(B, Q, K, generator=g), boxes,
            torch.tensor([[3, 0, 1], [2, 2, 0]]), gt, valid)


def corners(box):
    x, y, w, h = box
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def giou(a, b):
    a, b = corners(a), [min(max(v, 1e-7), 1.) for v in corners(b)]
    def area(c):
        return (c[2] - c[0]) * (c[3] - c[1])
    inter = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(
        min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = area(a) + area(b) - inter
    hull = area((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]),
                 max(a[3], b[3])))
    return inter / union - (hull - union) / hull


def by_hand(logits, boxes, label, gt, norm):
    """Cost of one pair from the formulas."""
    p = 1 / (1 + math.exp(-logits[label]))
    cls = -.25 * (1 - p)**2 * math.log(p + 1e-8) + .75 * p**2 * math.log(
        1 - p + 1e-8)
    distance = sum(abs(x - y)**norm for x, y in zip(
        sum(boxes, []), sum(gt, []), strict=True))**(1 / norm)
    overlap = sum(giou(x, y) for x, y in zip(boxes, gt, strict=True)) / T
    return 2 * cls + 5 * distance - 2 * overlap


@pytest.mark.parametrize('norm', [1., 2.])
def test_cost_and_pairs_by_hand(norm):
    logits, boxes, labels, gt, valid = batch()
    assigner = ClipHungarianAssigner(box_norm=norm)
    cost = assigner.cost(logits, boxes, labels, gt)
    matches = assigner.assign_batch(logits, boxes, labels, gt, valid)
    for b, count in enumerate((3, 2)):
        wanted = [[
            by_hand(logits[b, q].tolist(), boxes[b, q].tolist(),
                    int(labels[b, g]), gt[b, g].tolist(), norm)
            for g in range(count)
        ] for q in range(Q)]
        assert torch.allclose(cost[b, :, :count], torch.tensor(wanted),
                              atol=1e-4)
        mine = matches.clip == b
        rows, columns = linear_sum_assignment(wanted)
        assert matches.query[mine].tolist() == rows.tolist()
        assert matches.gt[mine].tolist() == columns.tolist()


def test_it_is_registered_with_the_released_weights():
    assigner = TASK_UTILS.build(dict(type='ClipHungarianAssigner'))
    assert vars(assigner) == dict(cls_weight=2., bbox_weight=5.,
                                  iou_weight=2., box_norm=2., alpha=.25,
                                  gamma=2.)


def test_without_objects():
    logits, boxes, labels, gt, valid = batch()
    assigner = ClipHungarianAssigner()
    for objects in (0, G):
        matches = assigner.assign_batch(
            logits, boxes, labels[:, :objects], gt[:, :objects],
            torch.zeros(B, objects, dtype=torch.bool))
        assert [len(x) for x in matches] == [0, 0, 0]


def test_more_objects_than_queries():
    logits, boxes, labels, gt, valid = batch()
    matches = ClipHungarianAssigner().assign_batch(
        logits[:1, :2], boxes[:1, :2], labels[:1], gt[:1], valid[:1])
    assert matches.query.tolist() == [0, 1]
    assert len(set(matches.gt.tolist())) == 2


def test_what_is_not_finite_is_left_to_the_losses():
    logits, boxes, labels, gt, valid = batch()
    logits[0, 1] = float('nan')
    boxes[0, 2] = float('inf')
    matches = ClipHungarianAssigner().assign_batch(logits, boxes, labels, gt,
                                                   valid)
    assert not {1, 2} & set(matches.query[matches.clip == 0].tolist())


def test_half_precision_logits():
    logits, boxes, labels, gt, valid = batch()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        matches = ClipHungarianAssigner().assign_batch(
            logits.bfloat16(), boxes, labels, gt, valid)
    assert len(matches.clip) == 5
