"""The PyTorch stand-ins against hand-computed values and plain operators.

They are called through mmcv's own classes, as models do; with compiled
operators the same tests hold for those.
"""
import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import (
    DeformConv2d,
    ModulatedDeformConv2d,
    RoIAlign,
    deform_conv2d,
    modulated_deform_conv2d,
    nms,
    roi_align,
    sigmoid_focal_loss,
)

from mmvis_memcnp.compat import mmcv_ext
from mmvis_memcnp.compat.mmcv_ext import ms_deform_attn

stand_in = pytest.mark.skipif(
    mmcv_ext.stand_in() is None, reason='compiled operators are in use')


def test_nms_table():
    boxes = torch.tensor([
        [0., 0., 10., 10.],  # score 0.6, overlaps the next by 90 / 110
        [1., 0., 11., 10.],  # 0.9, kept
        [2., 0., 12., 10.],  # 0.5, overlaps the kept one by 90 / 110
        [20., 0., 30., 10.],  # 0.4, alone
    ])
    scores = torch.tensor([.6, .9, .5, .4])
    assert nms(boxes, scores, 0.8)[1].tolist() == [1, 3]
    assert nms(boxes, scores, 0.82)[1].tolist() == [1, 0, 2, 3]


def test_nms_suppressed_boxes_do_not_suppress():
    # A chain: each box overlaps the next by 1/2 and the one after by 1/5.
    left = torch.arange(50.) * 10 / 3
    boxes = torch.stack((left, left * 0, left + 10, left * 0 + 10), 1)
    kept = nms(boxes, torch.linspace(1, .1, 50), 0.4)[1]
    assert kept.tolist() == list(range(0, 50, 2))


def test_nms_is_greedy():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(300, 4, generator=generator) * 50
    boxes[:, 2:] += boxes[:, :2] + 1
    scores = torch.rand(300, generator=generator)
    remaining, expected = scores.argsort(descending=True).tolist(), []
    while remaining:
        first = remaining.pop(0)
        expected.append(first)
        a = boxes[first]
        for other in list(remaining):
            b = boxes[other]
            inter = (torch.minimum(a[2:], b[2:]) -
                     torch.maximum(a[:2], b[:2])).clamp(min=0).prod()
            union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inter
            if inter / union > 0.5:
                remaining.remove(other)
    assert nms(boxes, scores, 0.5)[1].tolist() == expected
    assert 0 < len(expected) < 300


def test_nms_of_nothing():
    dets, kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and kept.shape == (0, )


@pytest.mark.parametrize('stride, padding, dilation, groups', [
    (1, 1, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), ((2, 1), (0, 1), 1, 4)])
def test_without_offset_it_is_a_convolution(stride, padding, dilation,
                                            groups):
    torch.manual_seed(0)
    conv = DeformConv2d(8, 4, 3, stride, padding, dilation, groups,
                        deform_groups=2).double()
    x = torch.randn(2, 8, 7, 9, dtype=torch.double)
    expected = F.conv2d(x, conv.weight, None, stride, padding, dilation,
                        groups)
    offset = x.new_zeros(2, 2 * 18, *expected.shape[2:])
    assert torch.allclose(conv(x, offset), expected)
    mask = x.new_full((2, 2 * 9, *expected.shape[2:]), 0.5)
    modulated = ModulatedDeformConv2d(
        8, 4, 3, stride, padding, dilation, groups, 2).double()
    modulated.load_state_dict(dict(weight=conv.weight, bias=torch.ones(4)))
    assert torch.allclose(modulated(x, offset, mask), expected / 2 + 1)


def test_offsets_are_row_then_column_a_tap_and_zero_beyond_the_map():
    # A kernel that reads its centre alone, moved by (dy, dx).
    conv = DeformConv2d(1, 1, 3, padding=1)
    conv.weight.data = F.pad(torch.ones(1, 1, 1, 1), (1, 1, 1, 1))
    x = torch.arange(12.).view(1, 1, 3, 4)
    offset = torch.zeros(1, 18, 3, 4)
    offset[:, 8] = 1  # dy of tap 4
    assert torch.allclose(conv(x, offset)[0, 0, :2], x[0, 0, 1:])
    assert not conv(x, offset)[0, 0, 2].any()
    offset[:, 8], offset[:, 9] = 0, 0.5  # dx: half-way to the next column
    # The last column: half of 3, half outside.
    expected = torch.tensor([0.5, 1.5, 2.5, 1.5])
    assert torch.allclose(conv(x, offset)[0, 0, 0], expected)


@pytest.mark.parametrize('size', [(1, 1), (2, 1), (1, 5), (2, 2)])
def test_maps_smaller_than_the_kernel(size):
    torch.manual_seed(0)
    conv = DeformConv2d(4, 2, 3, padding=1).double()
    x = torch.randn(1, 4, *size, dtype=torch.double)
    out = conv(x, x.new_zeros(1, 18, *size))
    assert torch.allclose(out, F.conv2d(x, conv.weight, padding=1))


@pytest.mark.parametrize('size', [(4, 5), (1, 3)])
def test_deform_conv_gradients(size):
    torch.manual_seed(0)
    conv = DeformConv2d(4, 2, 3, padding=1, groups=2,
                        deform_groups=2).double()
    x = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    # Away from whole pixels, where bilinear sampling has a kink.
    offset = (torch.rand(2, 36, *size, dtype=torch.double) * .8 +
              .1).requires_grad_()

    def run(x, offset, weight):
        return deform_conv2d(x, offset, weight, 1, 1, 1, 2, 2)

    if min(size) >= 3:
        weight = conv.weight.detach().clone().requires_grad_()
        assert torch.autograd.gradcheck(run, (x, offset, weight))
    assert torch.autograd.gradcheck(conv, (x, offset))


def test_modulated_deform_conv_gradients():
    torch.manual_seed(0)
    make = dict(dtype=torch.double)
    inputs = (torch.randn(2, 4, 4, 5, **make),
              torch.rand(2, 36, 4, 5, **make) * .8 + .1,
              torch.rand(2, 18, 4, 5, **make), torch.randn(2, 2, 3, 3, **make),
              torch.randn(2, **make))
    for tensor in inputs:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *a: modulated_deform_conv2d(*a, 1, 1, 1, 2, 2), inputs)


@stand_in
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_deform_conv_in_half_precision(dtype):
    torch.manual_seed(0)
    conv = DeformConv2d(8, 4, 3, padding=1)
    x = torch.randn(1, 8, 6, 300)
    offset = torch.randn(1, 18, 6, 300).to(dtype)
    x.requires_grad_()
    out = conv(x, offset)  # mmcv follows the offset's type, as autocast does
    assert out.dtype == dtype
    exact = conv(x.detach().to(dtype).float(), offset.float())
    # Rounded results, not rounded positions: those would move whole pixels.
    scale = exact.abs().max()
    assert (out.float() - exact).abs().max() < scale * 2 * torch.finfo(
        dtype).eps * 3
    out.float().sum().backward()
    assert x.grad.isfinite().all() and conv.weight.grad.abs().sum() > 0


def test_deform_conv_under_autocast():
    torch.manual_seed(0)
    offsets = torch.nn.Conv2d(4, 18, 3, padding=1)
    conv = DeformConv2d(4, 4, 3, padding=1)
    x = torch.randn(2, 4, 6, 6)
    with torch.autocast('cpu', torch.bfloat16):
        out = conv(x, offsets(x))
    out.float().square().sum().backward()
    assert offsets.weight.grad.isfinite().all()
    assert offsets.weight.grad.abs().sum() > 0


def test_roi_align_averages_a_ramp():
    # On the map f(row, col) = col the average over a bin is its centre. The
    # box spans columns 2..6, in two bins with centres 3 and 5; half a pixel is
    # taken off since pixel i covers [i, i + 1].
    ramp = torch.arange(10.).expand(1, 1, 8, 10)
    rois = torch.tensor([[0., 2., 1., 6., 5.]])
    out = RoIAlign(2, 1., 0)(ramp.contiguous(), rois)
    assert torch.allclose(out[0, 0], torch.tensor([[2.5, 4.5]] * 2))
    half = RoIAlign(2, .5, 2)(ramp.contiguous(), rois * 2 * torch.tensor(
        [0., 1, 1, 1, 1]))
    assert torch.allclose(half, out)


def test_roi_align_reads_zero_beyond_the_map():
    ones = torch.ones(1, 1, 4, 4)
    rois = torch.tensor([
        [0., 0., 0., 4., 4.],
        [0., -8., 0., 0., 4.],  # its samples: -7.5, -6.5, .. -0.5 (valid)
        [0., 10., 10., 14., 14.],
        [0., 2., 2., 2., 2.],  # empty
    ])
    out = roi_align(ones, rois, 1, 1., 0, 'avg', True).flatten()
    # Bins of 8: eight samples at -8 .. -1 after the half pixel; -1 counts.
    assert torch.allclose(out, torch.tensor([1., 1 / 8, 0., 0.]))


def test_roi_align_batched_equals_single_and_gradients():
    torch.manual_seed(0)
    maps = torch.randn(2, 2, 5, 6, dtype=torch.double, requires_grad=True)
    rois = torch.tensor([[0, .3, .2, 5.1, 4.2], [1, -1., 1., 3., 9.],
                         [1, 2.2, .1, 2.9, .8], [0, .3, .2, 5.1, 4.2]],
                        dtype=torch.double)

    def run(maps, ratio=0, aligned=True):
        return roi_align(maps, rois, (2, 3), .9, ratio, 'avg', aligned)

    for ratio, aligned in ((0, True), (2, False)):
        together = run(maps, ratio, aligned)
        single = torch.cat([
            roi_align(maps, roi[None], (2, 3), .9, ratio, 'avg', aligned)
            for roi in rois])
        assert torch.allclose(together, single)
        assert torch.autograd.gradcheck(lambda m: run(m, ratio, aligned),  # noqa: B023,E501
                                        maps)
    assert torch.equal(together[0], together[3])


def test_roi_align_without_boxes():
    maps = torch.ones(1, 2, 4, 4, requires_grad=True)
    out = roi_align(maps, torch.zeros(0, 5), 3, 1., 0, 'avg', True)
    assert out.shape == (0, 2, 3, 3)
    out.sum().backward()
    assert not maps.grad.any()


def deformable_attention_inputs():
    torch.manual_seed(0)
    shapes = torch.tensor([[4, 5], [2, 3]])
    value = torch.randn(2, 26, 2, 3, dtype=torch.double)
    locations = torch.rand(2, 7, 2, 2, 4, 2, dtype=torch.double)
    weights = torch.rand(2, 7, 2, 2, 4, dtype=torch.double)
    start = torch.tensor([0, 20])
    return value, shapes, start, locations, weights


@stand_in
def test_deformable_attention_function():
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )
    value, shapes, start, locations, weights = deformable_attention_inputs()
    grads, outs = [], []
    for function in (
            lambda v, s, w: MultiScaleDeformableAttnFunction.apply(
                v, shapes, start, s, w, 64),
            lambda v, s, w: multi_scale_deformable_attn_pytorch(
                v, shapes, s, w)):
        leaves = [t.clone().requires_grad_()
                  for t in (value, locations, weights)]
        outs.append(function(*leaves))
        grads.append(torch.autograd.grad(outs[-1].square().sum(), leaves))
    # The same products, summed up in another order.
    assert torch.allclose(*outs, rtol=0, atol=1e-13)
    for mine, theirs in zip(*grads, strict=True):
        assert torch.allclose(mine, theirs)


@stand_in
@pytest.mark.parametrize('weighted', [False, True])
def test_sigmoid_focal_loss(weighted):
    torch.manual_seed(0)
    logits = torch.randn(6, 3, dtype=torch.double, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 1, 3])  # 3: background
    weight = torch.tensor([1., 2, .5]).double() if weighted else None
    out = sigmoid_focal_loss(logits, target, 2., .25, weight, 'none')
    one_hot = F.one_hot(target, 4)[:, :3]
    p = logits.sigmoid()
    p_t = torch.where(one_hot == 1, p, 1 - p)
    alpha_t = torch.where(one_hot == 1, .25, .75)
    expected = -alpha_t * (1 - p_t)**2 * p_t.log()
    if weighted:
        rows = torch.tensor([1., 2, .5, 1]).double()[target]
        expected = expected * rows[:, None]
    assert torch.allclose(out, expected)
    mine, = torch.autograd.grad(
        sigmoid_focal_loss(logits, target, 2., .25, weight, 'sum'), logits)
    theirs, = torch.autograd.grad(expected.sum(), logits)
    assert torch.allclose(mine, theirs)


@stand_in
def test_what_is_missing_says_so_when_called():
    with pytest.raises(NotImplementedError, match="'softnms'.*make ops"):
        mmcv_ext.stand_in().softnms(torch.zeros(1, 4))
    with pytest.raises(NotImplementedError, match='max'):
        roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0., 0, 0, 2, 2]]), 1,
                  1., 0, 'max', True)


@stand_in
def test_one_line_says_which_path_runs(monkeypatch):
    from mmvis_memcnp.compat import announce
    lines = []
    monkeypatch.setattr(announce, 'print_log',
                        lambda message, **kwargs: lines.append(message))
    announce.announce.cache_clear()
    for _ in range(3):
        nms(torch.tensor([[0., 0, 1, 1]]), torch.ones(1), 0.5)
        roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0., 0, 0, 2, 2]]), 1,
                  1., 0, 'avg', True)
    assert len(lines) == 1
    assert 'PyTorch stand-in' in lines[0] and 'make ops' in lines[0]
    announce.announce.cache_clear()
    monkeypatch.setenv('RANK', '1')
    nms(torch.tensor([[0., 0, 1, 1]]), torch.ones(1), 0.5)
    assert len(lines) == 1
    announce.announce.cache_clear()


@pytest.mark.parametrize('shapes', [
    ((6, 9), (3, 5), (2, 3)),
    ((1, 1), ),  # a level of one pixel, whose neighbours are all outside
    ((1, 7), (7, 1)),
])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_deformable_attention_reads_what_grid_sample_does(shapes, dtype):
    from mmcv.ops.multi_scale_deform_attn import (
        multi_scale_deformable_attn_pytorch,
    )
    generator = torch.Generator().manual_seed(0)
    rows = sum(h * w for h, w in shapes)
    value = torch.randn(2, rows, 4, 5, generator=generator, dtype=dtype)
    # Far outside, on the edges, in corners, on and between pixels.
    places = torch.tensor([-9., -1., -.2, 0., .1, .5, .77, 1., 1.2, 3.],
                          dtype=dtype)
    grid = torch.cartesian_prod(places, places)
    shape = 2, 25, 4, len(shapes), 4
    locations = grid.repeat(8 * len(shapes), 1)[torch.randperm(
        800 * len(shapes), generator=generator)].view(*shape, 2)
    weights = torch.randn(shape, generator=generator, dtype=dtype)
    expected = multi_scale_deformable_attn_pytorch(
        value, torch.tensor(shapes), locations, weights)
    found = ms_deform_attn.read_out(value, shapes, locations, weights)
    assert found.dtype == dtype and expected.abs().mean() > .1
    assert torch.allclose(found, expected, atol=2e-5)


def test_deformable_attention_trains_as_with_mmcv():
    """Values and all gradients, of several levels and points."""
    from mmcv.ops.multi_scale_deform_attn import (
        multi_scale_deformable_attn_pytorch,
    )
    shapes, shape = [(6, 9), (3, 5), (1, 2)], (2, 7, 4, 3, 2)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.double)

    given = (draw(2, 71, 4, 5), draw(*shape, 2) * .4 + .5, draw(*shape))
    found = []
    for read in (lambda value, shapes, locations, weights:
                 ms_deform_attn.read_out_for_training(
                     value, shapes, locations.permute(0, 2, 3, 4, 5, 1),
                     weights.permute(0, 2, 3, 4, 1)),
                 lambda value, shapes, *rest:
                 multi_scale_deformable_attn_pytorch(
                     value, torch.tensor(shapes), *rest)):
        inputs = [x.clone().requires_grad_() for x in given]
        out = read(inputs[0], shapes, *inputs[1:])
        out.sin().sum().backward()
        found.append((out, *(x.grad for x in inputs)))
    for ours, theirs in zip(*found, strict=True):
        assert theirs.abs().mean() > .01
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_deformable_attention_reads_nothing_outside_of_memory():
    value = torch.ones(1, 6, 1, 2)
    for wrong in (float('nan'), float('inf'), -float('inf'), 1e30):
        locations = torch.full((1, 3, 1, 1, 2, 2), wrong)
        found = ms_deform_attn.read_out(value, [(2, 3)], locations,
                                        torch.ones(1, 3, 1, 1, 2))
        assert found.shape == (1, 3, 2) and found.isfinite().all()
