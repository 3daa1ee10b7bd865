"""Masks on their way back to the original frame."""
import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.results import WAYS_BACK, MaskSource
from mmvis_memcnp.results import pixels as ways


def meta(image, ori, padded=None, scale=(1., 1.)):
    return dict(img_shape=image, ori_shape=ori, scale_factor=scale,
                batch_input_shape=padded or image)


def masks(values, way, stride, *sizes, threshold=0., **kwargs):
    source = MaskSource(values, meta(*sizes, **kwargs), way, stride,
                        threshold)
    return source.pixels(torch.arange(len(values)))


@pytest.mark.parametrize('way', ['resample', 'stretch', 'bilinear'])
@pytest.mark.parametrize('size', [(48, 64), (37, 91), (8, 8)])
def test_without_padding_it_is_plain_resizing(way, size):
    logits = torch.randn(40, 6, 8)
    image = (6, 8) if way == 'bilinear' else (24, 32)
    plain = F.interpolate(logits[:, None], size=size, mode='bilinear',
                          align_corners=False)[:, 0]
    found = masks(logits, way, 4, image, size)
    clear = plain.abs() > 1e-4
    assert torch.equal(found[clear], (plain > 0)[clear])


@pytest.mark.parametrize('way', ['bilinear', 'nearest', 'resample'])
def test_padding_is_cut_off(way):
    logits = torch.full((1, 8, 8), -1.)
    logits[:, :4, :4] = 1.  # the upper left 16 x 16 pixels of 32 x 32
    found = masks(logits, way, 4, (16, 16), (30, 40), (32, 32))
    assert found.shape == (1, 30, 40) and found.dtype == torch.bool
    assert found[:, :28, :37].all()
    half = masks(logits, way, 4, (32, 16), (40, 20), (32, 32))
    assert half[0, :19, :18].all() and not half[0, 22:].any()


def test_stretch_takes_the_canvas_for_the_frame():
    """As released: 80 x 122 input pixels are 20 x 32 cells of stride 4, which
    are taken for the frame, so that masks are shifted to the left."""
    logits = torch.full((1, 20, 32), -1.)
    logits[:, :, 16:] = 1.
    true = masks(logits, 'resample', 4, (80, 122), (160, 244))
    released = masks(logits, 'stretch', 4, (80, 122), (160, 244))
    assert true[0, 0].int().argmax() == 128  # 64 of 122 pixels
    assert released[0, 0].int().argmax() == 122  # 16 of 32 cells


def test_bilinear_and_nearest_differ_in_the_last_step_alone():
    logits = torch.randn(3, 8, 8)
    sizes = (20, 30), (41, 67), (32, 32)
    full = F.interpolate(logits[:, None], size=(32, 32), mode='bilinear',
                         align_corners=False)[:, :, :20, :30]
    smooth = F.interpolate(full, size=(41, 67), mode='bilinear',
                           align_corners=False)[:, 0] > 0
    hard = F.interpolate((full > 0).float(), size=(41, 67))[:, 0].bool()
    assert torch.equal(masks(logits, 'bilinear', 4, *sizes), smooth)
    assert torch.equal(masks(logits, 'nearest', 4, *sizes), hard)
    assert not torch.equal(smooth, hard)


@pytest.mark.parametrize('ori, net', [
    ((100, 150), (50, 75)), ((48, 64), (96, 128)), ((40, 60), (50, 90))])
def test_square_is_pasted_back_within_a_pixel(ori, net):
    """A box of the network's input, seen at the original size."""
    padded = tuple(-(-s // 32) * 32 for s in net)
    probs = torch.zeros(1, padded[0] // 2, padded[1] // 2)
    probs[0, 6:18, 8:26] = 1.  # input rows 12..36, columns 16..52
    scale = (net[1] / ori[1], net[0] / ori[0])
    mask = masks(probs, 'paste', 2, net, ori, padded, scale=scale,
                 threshold=.5)[0]
    assert mask.shape == ori
    rows, cols = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    tolerance = 1. + max(1 / scale[0], 1 / scale[1])
    for found, expected in (
            (rows[0], 12 / scale[1]), (rows[-1] + 1, 36 / scale[1]),
            (cols[0], 16 / scale[0]), (cols[-1] + 1, 52 / scale[0])):
        assert abs(found.item() - expected) <= tolerance
    # but for corners, which interpolation rounds off
    assert len(rows) * len(cols) - 8 <= mask.sum() <= len(rows) * len(cols)


@pytest.mark.parametrize('way', sorted(WAYS_BACK))
def test_rows_chunks_and_half_precision(way, monkeypatch):
    values = torch.randn(7, 8, 8)
    source = MaskSource(values, meta((30, 26), (41, 37), (32, 32)), way, 4)
    every = source.pixels(torch.arange(7))
    monkeypatch.setattr(ways, 'CHUNK', 3)
    assert torch.equal(source.pixels(torch.arange(7)), every)
    rows = torch.tensor([5, 0])
    lazy = MaskSource(lambda some: values[some], source.meta, way, 4)
    assert torch.equal(lazy.pixels(rows), every[rows])
    assert lazy.pixels(rows[:0]).shape == (0, 41, 37)
    half = MaskSource(values.bfloat16(), source.meta, way, 4)
    assert (half.pixels(rows) != every[rows]).float().mean() < .02


@pytest.mark.parametrize('way', sorted(WAYS_BACK))
def test_rated_masks_are_the_masks_and_their_probabilities(way):
    values = 3 * torch.randn(5, 8, 8)
    values[2] = -1.  # nothing
    source = MaskSource(values, meta((30, 26), (41, 37), (32, 32)), way, 4)
    rows = torch.tensor([3, 2, 0])
    masks, sums = source.rated(rows)
    assert torch.equal(masks, source.pixels(rows))
    assert sums[:, 1].tolist() == masks.sum((1, 2)).tolist()
    canvas = ways.Canvas.of(source.meta, 4)
    for i, row in enumerate(rows.tolist()):
        full = WAYS_BACK[way](values[row:row + 1], canvas)[0]
        expected = sum(full[masks[i]].sigmoid().tolist())
        assert sums[i, 0].item() == pytest.approx(expected, rel=1e-5)
    none, sums = source.rated(rows[:0])
    assert none.shape == (0, 41, 37) and sums.shape == (0, 2)
