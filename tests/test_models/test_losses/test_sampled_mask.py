"""Mask2Former's losses, against a loop over pairs."""
from unittest import mock

import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.models.layers.points import point_sample, uncertain_points
from mmvis_memcnp.models.losses import SampledMaskLoss
from mmvis_memcnp.models.matching import hungarian
from mmvis_memcnp.models.truth import Matches
from mmvis_memcnp.models.truth.clip_truth import ClipTruth
from tests.fakes.tiny_mask2former import truth
from tests.test_models.test_matching.test_mask_costs import (
    objects,
    pinned,
    predictions,
)

POINTS = dict(num_points=40)


def pairs_of(layers, gt, queries=5):
    g = torch.Generator().manual_seed(7)
    cost = torch.rand(layers, *gt.valid.shape[:1], queries,
                      gt.valid.shape[1], generator=g)
    return Matches.of_objects(hungarian(cost, gt.valid), queries)


def compute(args, gt, **settings):
    pairs = pairs_of(len(args[0]), gt)
    with mock.patch('torch.rand', pinned):
        return SampledMaskLoss(**POINTS, **settings)(*args, pairs, gt)


def by_hand(args, pairs, gt):
    """A pair at a time: sums over the pairs of each layer."""
    _, embeds, features = args
    sums = torch.zeros(2, len(embeds))
    for layer, frame, query, own in zip(*map(torch.Tensor.tolist, pairs.pairs),
                                        strict=True):
        logits = torch.einsum('d,dhw->hw', embeds[layer, frame, query],
                              features[frame])[None]
        points = uncertain_points(logits, 40)
        x = point_sample(logits[:, None], points).flatten()
        t = point_sample(gt.masks[frame, own][None, None].float(),
                         points).flatten()
        p = x.sigmoid()
        sums[0, layer] += F.binary_cross_entropy_with_logits(x, t)
        sums[1, layer] += 1 - (2 * (p * t).sum() + 1) / (
            p.sum() + t.sum() + 1)
    return sums


@pytest.mark.parametrize('valid', [
    [[1, 1], [1, 1], [1, 1]],
    [[0, 1], [0, 0], [1, 1]],  # a frame without, padding in the first row
])
def test_masks_as_by_hand(valid):
    args, gt = predictions(), objects()
    gt = truth(gt.masks, gt.labels, valid)
    pairs = pairs_of(2, gt)
    assert len(pairs.gt) == 2 * gt.valid.sum()
    found = compute(args, gt)
    with mock.patch('torch.rand', pinned):
        mask, dice = by_hand(args, pairs, gt) / gt.valid.sum()
    for name, expected in (('loss_mask', mask), ('loss_dice', dice)):
        torch.testing.assert_close(found[f'd0.{name}'], 5 * expected[0])
        torch.testing.assert_close(found[name], 5 * expected[1])


@pytest.mark.parametrize('classes', [1, 4, 9])
def test_classes_as_torch_weights_them(classes):
    """The weight of no object follows the number of classes."""
    args = predictions(classes=classes)
    gt = objects()
    gt = truth(gt.masks, gt.labels % classes, [[0, 1], [0, 0], [1, 1]])
    pairs, found = pairs_of(2, gt), compute(args, gt, no_object_weight=.3)
    weight = torch.ones(classes + 1)
    weight[-1] = .3
    for layer, name in enumerate(('d0.loss_cls', 'loss_cls')):
        target = torch.full((3, 5), classes)
        own = pairs.layer == layer
        frame, query, number = (x[own] for x in pairs.pairs[1:])
        target[frame, query] = gt.labels[frame, number]
        assert (target < classes).sum() == 3
        torch.testing.assert_close(found[name], 2 * F.cross_entropy(
            args[0][layer].flatten(0, 1), target.flatten(), weight))


def test_padding_of_the_objects_changes_nothing():
    args, gt = predictions(), objects()
    more = truth(F.pad(gt.masks, (0, 0, 0, 0, 1, 2)),
                 F.pad(gt.labels, (1, 2)), F.pad(gt.valid, (1, 2)))
    pairs = pairs_of(2, gt)
    loss = SampledMaskLoss(**POINTS)
    with mock.patch('torch.rand', pinned):
        expected = loss(*args, pairs, gt)
        index = torch.where(pairs.pos, pairs.gt_index + 1, -1)
        found = loss(*args, Matches(index), more)
    assert found.keys() == expected.keys() and len(found) == 6
    for name in found:
        torch.testing.assert_close(found[name], expected[name])


def test_padding_of_the_frames_moves_no_point():
    """Empty space below and right of features and masks alike: what a mask
    says about the frame itself is the same."""
    _, embeds, features = predictions()
    gt = objects()
    wide = F.pad(features, (0, 12, 0, 8))
    masks = F.pad(gt.masks, (0, 48, 0, 32))
    inside = torch.rand(3, 40, 2) * .45
    same = point_sample(wide, inside), point_sample(features, 2 * inside)
    torch.testing.assert_close(*same, rtol=1e-4, atol=1e-4)
    same = (point_sample(masks.float(), inside),
            point_sample(gt.masks.float(), 2 * inside))
    torch.testing.assert_close(*same, rtol=1e-4, atol=1e-4)


def test_no_object_at_all_keeps_the_graph():
    args = [x.requires_grad_() for x in predictions()]
    gt = objects()
    gt = truth(gt.masks, gt.labels, torch.zeros(3, 2))
    found = compute(args, gt)
    assert {n for n, v in found.items() if v > 0} == {
        'loss_cls', 'd0.loss_cls'}
    assert all(v.requires_grad and v.isfinite() for v in found.values())
    sum(found.values()).backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in args)


def test_perfect_masks_cost_next_to_nothing():
    """Halves of the frame, told with certainty."""
    masks = torch.zeros(3, 2, 8, 12)
    masks[:, 0, :, :6] = masks[:, 1, :, 6:] = 1
    gt = truth(masks, [[0, 1], [2, 3], [1, 1]])
    features = masks * 40 - 20
    embeds = torch.eye(2).expand(1, 3, 2, 2)
    logits = 40 * F.one_hot(gt.labels, 5).float()[None]
    pairs = Matches(torch.arange(2).expand(1, 3, 2))
    loss = SampledMaskLoss(importance_ratio=0.)
    right = loss(logits, embeds, features, pairs, gt)
    wrong = loss(logits, embeds.flip(-1), features, pairs, gt)
    # Between pixels of opposite sign neither is certain.
    assert right['loss_cls'] < 1e-6
    assert right['loss_mask'] < .03 * wrong['loss_mask']
    assert right['loss_dice'] < .1 * wrong['loss_dice']


def test_mixed_precision_costs_the_same():
    args, gt = predictions(), objects()
    expected = compute(args, gt)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = compute(args, gt)
    assert found == expected


@pytest.mark.parametrize('ratio, near', [(1., 1.), (.75, .75), (0., .25)])
def test_uncertain_points(ratio, near):
    """A ramp from -1 to 1: undecided in the middle of the width."""
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 64).expand(2, 16, 64)
    points = uncertain_points(ramp, 4000, oversample_ratio=4.,
                              importance_ratio=ratio)
    assert points.shape == (2, 4000, 2)
    assert 0 <= points.min() and points.max() <= 1
    # With 4 times the points to choose from, the nearest quarter is chosen.
    middle = ((points[..., 0] - .5).abs() < .13).float().mean(1)
    expected = near + (1 - ratio) * (.26 if ratio else .01)
    assert (middle - expected).abs().max() < .03
    # Rows are drawn evenly.
    assert (points[..., 1].mean(1) - .5).abs().max() < .03


def test_uncertain_points_of_no_masks():
    assert uncertain_points(torch.zeros(0, 4, 6), 9).shape == (0, 9, 2)


def clip_of(gt, embeds, features):
    """The same objects, as those of one clip; and predictions of it."""
    boxes = torch.zeros(1, gt.valid.shape[1], len(gt.valid), 4)
    clip = ClipTruth(
        gt.labels[:1], boxes, boxes, gt.masks.transpose(0, 1)[None],
        gt.masks.flatten(2).any(2).T[None], gt.valid[:1],
        torch.ones(1, len(gt.valid), 2))
    return clip, embeds.unsqueeze(1), features[None]


def test_a_whole_clip_is_one_mask():
    """By hand: its frames below each other, an object a mask."""
    (logits, embeds, features), gt = predictions(), objects()
    gt = truth(gt.masks, gt.labels, [[1, 1]] * 3)
    gt.masks[1, 0] = False  # absent in a frame
    clip, clip_embeds, clip_features = clip_of(gt, embeds, features)
    pairs = pairs_of(2, clip)
    stack = torch.rand(1, 3 * 40, 2)
    with mock.patch(
            'mmvis_memcnp.models.losses.sampled_mask.uncertain_points',
            lambda masks, count, *_: stack[:, :count].expand(
                len(masks), -1, -1)):
        found = SampledMaskLoss(**POINTS, whole_clips=True)(
            logits[:, :1], clip_embeds, clip_features, pairs, clip)
    sums = torch.zeros(2, 2)
    for layer, _, query, own in zip(*map(torch.Tensor.tolist, pairs.pairs),
                                    strict=True):
        mask = torch.einsum('td,tdhw->thw', embeds[layer, :, query], features)
        x, t = (point_sample(m.flatten(0, 1)[None, None].float(),
                             stack).flatten()
                for m in (mask, gt.masks[:, own]))
        p = x.sigmoid()
        sums[0, layer] += F.binary_cross_entropy_with_logits(x, t)
        sums[1, layer] += 1 - (2 * (p * t).sum() + 1) / (
            p.sum() + t.sum() + 1)
    for name, expected in (('loss_mask', sums[0]), ('loss_dice', sums[1])):
        torch.testing.assert_close(found[f'd0.{name}'], 5 * expected[0] / 2)
        torch.testing.assert_close(found[name], 5 * expected[1] / 2)


def test_the_points_of_a_clip_go_where_it_is_undecided():
    """All frames but one are sure: most points are in that one."""
    (logits, embeds, features), gt = predictions(), objects()
    gt = truth(gt.masks, gt.labels, [[1, 1]] * 3)
    features = features.clone()
    features[1:] *= 1e4
    clip, clip_embeds, clip_features = clip_of(gt, embeds, features)
    drawn = []

    def kept(masks, *args):
        drawn.append(uncertain_points(masks, *args))
        return drawn[-1]

    with mock.patch(
            'mmvis_memcnp.models.losses.sampled_mask.uncertain_points', kept):
        SampledMaskLoss(**POINTS, whole_clips=True)(
            logits[:, :1], clip_embeds, clip_features, pairs_of(2, clip),
            clip)
    assert drawn[0].shape[1] == 3 * 40
    assert (drawn[0][..., 1] < 1 / 3).float().mean() > .7
