"""Costs of classes and sampled masks, and one-to-one pairs."""
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.models.matching import (
    CostSum,
    OneToOneMatcher,
    Queries,
    SampledMaskCost,
    hungarian,
)
from mmvis_memcnp.models.matching.mask_costs import bce_cost, dice_cost
from mmvis_memcnp.models.truth import Matches
from tests.fakes.tiny_mask2former import truth

NAN = float('nan')


def predictions(layers=2, frames=3, queries=5, classes=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (torch.randn(layers, frames, queries, classes + 1, generator=g),
            torch.randn(layers, frames, queries, 6, generator=g),
            torch.randn(frames, 6, 8, 12, generator=g))


def costs(cls=2., mask=5., dice=5., num_points=50):
    """Of all terms, with other weights."""
    return dict(
        cls=dict(type='SoftmaxCost', weight=cls),
        mask=dict(type='SampledMaskCost', mask_weight=mask,
                  dice_weight=dice, num_points=num_points))


def queries(logits, embeds, features):
    return Queries(logits, mask_embeds=embeds, mask_features=features)


def one_to_one(cost, valid):
    return Matches.of_objects(hungarian(cost, valid), cost.shape[-2])


def objects(frames=3, count=2, seed=1):
    g = torch.Generator().manual_seed(seed)
    return truth(torch.rand(frames, count, 32, 48, generator=g) > .6,
                 torch.randint(4, (frames, count), generator=g))


def pinned(rows, count, two, device=None):
    """In place of ``torch.rand``: the same points for every row."""
    points = np.random.RandomState(count).random_sample((count, two))
    return torch.from_numpy(points).float().repeat(rows, 1, 1)


def test_every_pair_costs_what_its_loss_is():
    logits, target = torch.randn(2, 5, 30), (torch.rand(2, 3, 30) > .5) * 1.
    bce, dice = bce_cost(logits, target), dice_cost(logits, target)
    assert bce.shape == dice.shape == (2, 5, 3)
    for b, q, g in ((0, 0, 0), (1, 4, 2), (1, 2, 0)):
        x, t = logits[b, q], target[b, g]
        torch.testing.assert_close(
            bce[b, q, g], F.binary_cross_entropy_with_logits(x, t))
        p = x.sigmoid()
        torch.testing.assert_close(
            dice[b, q, g],
            1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))


def test_weights_and_terms():
    args, gt = queries(*predictions()), objects()
    with mock.patch('torch.rand', pinned):
        alone = [CostSum(costs(*w))(args, gt)
                 for w in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
        total = CostSum(costs())(args, gt)
    assert total.shape == (2, 3, 5, 2)
    torch.testing.assert_close(
        total, 2 * alone[0] + 5 * alone[1] + 5 * alone[2])
    assert all(a.std() > .01 for a in alone)


def test_frames_and_layers_do_not_touch_each_other():
    (logits, embeds, features), gt = predictions(), objects()
    cost = CostSum(costs())
    with mock.patch('torch.rand', pinned):
        together = cost(queries(logits, embeds, features), gt)
        for layer, b in ((0, 0), (1, 2)):
            own = slice(b, b + 1)
            alone = cost(queries(logits[layer:layer + 1, own],
                                 embeds[layer:layer + 1, own],
                                 features[own]),
                         truth(gt.masks[own], gt.labels[own]))
            torch.testing.assert_close(together[layer, b], alone[0, 0])


def test_a_query_that_is_an_object_gets_it():
    """Masks and classes as the objects', in another order."""
    gt = objects(frames=1, count=3)
    masks = F.interpolate(gt.masks.float(), size=(8, 12), mode='area') - .5
    order = torch.tensor([2, 0, 1])
    # Features are the objects' masks, each query wants one of them.
    embeds = 9 * torch.eye(3)[order][None, None]
    logits = 4 * F.one_hot(gt.labels[0, order], 5).float()[None, None]
    pairs = OneToOneMatcher(costs(num_points=12544)).match(
        queries(logits, embeds, masks), gt)
    assert pairs.query.tolist() == [0, 1, 2]
    assert pairs.gt.tolist() == order.tolist()


def test_padding_of_the_objects_changes_nothing():
    args, gt = predictions(), objects()
    more = truth(F.pad(gt.masks, (0, 0, 0, 0, 1, 2)),
                 F.pad(gt.labels, (1, 2)), F.pad(gt.valid, (1, 2)))
    matcher = OneToOneMatcher(costs())
    with mock.patch('torch.rand', pinned):
        expected = matcher.match(queries(*args), gt)
        found = matcher.match(queries(*args), more)
    assert len(expected.gt) == 12
    assert torch.equal(found.gt - 1, expected.gt)
    for a, b in zip(found.pairs[:3], expected.pairs[:3], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('cost, valid, expected', [
    # the best sum, not the best first: 0 -> 1 and 1 -> 0 cost 3, else 11
    ([[1., 2.], [1., 10.]], [1, 1], [(0, 1), (1, 0)]),
    # an object that is none leaves its query to others
    ([[1., 2.], [1., 10.]], [0, 1], [(0, 1)]),
    # more objects than queries: the cheapest ones get one
    ([[5., 1., 3.]], [1, 1, 1], [(0, 1)]),
    # what is not finite is the last choice
    ([[NAN, 7.], [3., 1.]], [1, 1], [(0, 1), (1, 0)]),
    # no objects
    ([[1., 2.]], [0, 0], []),
])
def test_one_to_one(cost, valid, expected):
    pairs = one_to_one(torch.tensor([[cost]]), torch.tensor([valid]).bool())
    assert all(x.dtype == torch.int64 for x in pairs.pairs)
    assert list(zip(pairs.query.tolist(), pairs.gt.tolist(),
                    strict=True)) == expected
    assert not pairs.layer.any() and not pairs.frame.any()


def test_layers_and_frames_of_pairs():
    cost = torch.rand(3, 2, 4, 2)
    valid = torch.tensor([[1, 0], [1, 1]]).bool()
    pairs = one_to_one(cost, valid)
    assert pairs.layer.bincount().tolist() == [3, 3, 3]
    assert pairs.frame.bincount().tolist() == [3, 6]
    for layer in range(3):
        alone = one_to_one(cost[layer:layer + 1], valid)
        own = pairs.layer == layer
        assert torch.equal(pairs.query[own], alone.query)


def test_masks_are_needed():
    gt = objects()._replace(masks=None)
    with pytest.raises(ValueError, match='need masks'):
        SampledMaskCost(num_points=9)(queries(*predictions()), gt)


@torch.no_grad()
def test_mixed_precision_costs_the_same():
    args, gt = predictions(), objects()
    cost = CostSum(costs())
    with mock.patch('torch.rand', pinned):
        expected = cost(queries(*args), gt)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert torch.equal(cost(queries(*args), gt), expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_sums_over_a_clip_do_not_overflow(dtype):
    """36 frames at 32 x 32 points: their sums are above 65504, and their
    counts above what half precision tells apart."""
    g = torch.Generator().manual_seed(0)
    masks = torch.rand(12, 36 * 32 * 32, generator=g) > torch.linspace(
        .05, .8, 12)[:, None]
    logits, target = masks * 20. - 10, masks.flip(0) * 1.
    for cost in (bce_cost, dice_cost):
        expected = cost(logits, target)
        assert (expected > 0).all() and expected.isfinite().all()
        with torch.autocast('cpu', dtype):
            assert torch.equal(cost(logits, target), expected)
        # Inputs in half precision, which +-10, 0 and 1 are in exactly.
        found = cost(logits.to(dtype), target.to(dtype))
        assert torch.equal(found, expected)
