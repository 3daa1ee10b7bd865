"""Operators with a branch for CUDA give what the CPU gives, gradients too."""
import pytest
import torch
from mmcv.ops import (
    batched_nms,
    deform_conv2d,
    modulated_deform_conv2d,
    nms,
    roi_align,
    sigmoid_focal_loss,
)
from mmdet.models.losses import FocalLoss

from mmvis_memcnp.models.layers.deformable_attention import (
    DeformableAttention,
)
from mmvis_memcnp.ops import crop_split, crop_split_gt

SHAPES = torch.tensor([[6, 9], [3, 5]])


def outcome(function, device, *inputs):
    """What a function gives, and the gradients of its float inputs."""
    leaves = [x.detach().to(device) for x in inputs]
    floats = [x.requires_grad_() for x in leaves if x.is_floating_point()]
    out = function(*leaves)
    grads = torch.autograd.grad(out.sin().sum(), floats, allow_unused=True)
    return [x.detach().cpu() for x in (out, *grads) if x is not None]


def same(both, function, *inputs, tolerance=1e-4):
    """Values and gradients agree on two devices; some value is not 0."""
    expected, found = (outcome(function, d, *inputs) for d in both)
    assert len(expected) == len(found) > 1
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a, rtol=tolerance, atol=tolerance)
        assert a.any()


def attention(dtype=torch.float32):
    torch.manual_seed(0)
    module = DeformableAttention(embed_dims=16, num_heads=4, num_levels=2,
                                 num_points=3, dropout=0.)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    return module.to(dtype)


@pytest.mark.parametrize('corners', [2, 4])
@pytest.mark.parametrize('batch', [1, 3])
def test_deformable_attention(both, corners, batch):
    module = attention()
    query, value = torch.randn(batch, 7, 16), torch.randn(batch, 69, 16)
    points = torch.rand(batch, 7, 2, corners)

    def run(query, value, points, shapes, start, padded):
        return module.to(query.device)(
            query, value, reference_points=points, spatial_shapes=shapes,
            level_start_index=start, key_padding_mask=padded)

    padded = torch.zeros(batch, 69, dtype=torch.bool)
    padded[0, 4:6] = True
    same(both, run, query, value, points, SHAPES, torch.tensor([0, 54]),
         padded)


def boxes(n=40):
    generator = torch.Generator().manual_seed(0)
    found = torch.rand(n, 4, generator=generator) * 20
    found[:, 2:] += found[:, :2] + 1
    return found, torch.rand(n, generator=generator)


@pytest.mark.parametrize('c', [1, 2])
def test_crop_split(both, c):
    torch.manual_seed(0)
    rois, _ = boxes(6)
    same(both, lambda data: crop_split(data, rois.to(data.device), c),
         torch.randn(c * c, 17, 23, 6))
    same(both, lambda data: crop_split_gt(data, rois.to(data.device)),
         torch.randn(17, 23, 6))


def test_nms(device):
    found, scores = boxes()
    labels = torch.arange(40) % 3
    settings = dict(type='nms', iou_threshold=.3)
    expected = nms(found, scores, .3), batched_nms(found, scores, labels,
                                                   settings)
    there = found.to(device), scores.to(device)
    for (a, kept), (b, also) in zip(
            expected, (nms(*there, .3),
                       batched_nms(*there, labels.to(device), settings)),
            strict=True):
        assert 1 < len(kept) < 40
        assert kept.tolist() == also.cpu().tolist()
        torch.testing.assert_close(a, b.cpu())


@pytest.mark.parametrize('ratio, aligned', [(0, True), (2, False)])
def test_roi_align(both, ratio, aligned):
    torch.manual_seed(0)
    rois = torch.cat((torch.arange(6)[:, None] % 2, boxes(6)[0]), 1)
    same(both, lambda maps: roi_align(maps, rois.to(maps.device), (2, 3), .5,
                                      ratio, 'avg', aligned),
         torch.randn(2, 3, 9, 11))


def test_deformable_convolutions(both):
    torch.manual_seed(0)
    x, offset = torch.randn(2, 4, 5, 6), torch.randn(2, 36, 5, 6)
    weight, mask = torch.randn(6, 2, 3, 3), torch.rand(2, 18, 5, 6)
    same(both, lambda x, offset, weight: deform_conv2d(
        x, offset, weight, 1, 1, 1, 2, 2), x, offset, weight)
    same(both, lambda x, offset, mask, weight: modulated_deform_conv2d(
        x, offset, mask, weight, None, 1, 1, 1, 2, 2), x, offset, mask,
        weight)


def test_focal_loss(both):
    torch.manual_seed(0)
    logits, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 1, 3])
    # mmdet takes mmcv's operator on CUDA and a formula of its own elsewhere.
    same(both, lambda x: FocalLoss()(x, target.to(x.device)), logits)


def test_focal_loss_of_classes_with_weights(device):
    torch.manual_seed(0)
    logits, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 1, 3])
    weight = torch.tensor([1., 2., .5])
    found = [sigmoid_focal_loss(logits.to(d), target.to(d), 2., .25,
                                weight.to(d), 'none').cpu()
             for d in (device, device)]
    assert torch.equal(*found)
    one = torch.nn.functional.one_hot(target, 4)[:, :3]
    p = torch.where(one == 1, logits.sigmoid(), 1 - logits.sigmoid())
    rows = torch.tensor([1., 2., .5, 1.])[target]
    expected = -torch.where(one == 1, .25, .75) * (1 - p)**2 * p.log()
    torch.testing.assert_close(found[0], expected * rows[:, None])
