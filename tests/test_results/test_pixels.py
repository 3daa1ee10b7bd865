"""Masks on their way back to the original frame."""
import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.results import WAYS_BACK, MaskSource, decode_masks
from mmvis_memcnp.results import pixels as ways
from mmvis_memcnp.results.resizing import run


def meta(image, ori, padded=None, scale=(1., 1.)):
    return dict(img_shape=image, ori_shape=ori, scale_factor=scale,
                batch_input_shape=padded or image)


def masks(values, way, stride, *sizes, threshold=0., **kwargs):
    source = MaskSource(values, meta(*sizes, **kwargs), way, stride,
                        threshold)
    return pixels(source, torch.arange(len(values)))


def pixels(source, rows):
    return torch.from_numpy(
        decode_masks(source.encode(rows), source.meta['ori_shape']))


def whole(values, way, stride, image, ori, padded, scale=(1., 1.)):
    """What a way is: all pixels, by PyTorch's own functions."""
    def resize(x, size, mode='bilinear', factor=None):
        return F.interpolate(
            x[:, None], size, factor, mode,
            align_corners=False if mode == 'bilinear' else None)[:, 0]

    if way == 'paste':
        made = resize(values, None, factor=(
            stride / scale[1], stride / scale[0]))[:, :ori[0], :ori[1]]
        return F.pad(made, (0, ori[1] - made.shape[2], 0,
                            ori[0] - made.shape[1]), value=-torch.inf)
    if way == 'stretch':
        return resize(values, ori)
    if way == 'resample':
        y, x = ((torch.arange(n) + .5) / n * (s / (stride * cells)) * 2 - 1
                for n, s, cells in zip(ori, image, values.shape[1:],
                                       strict=True))
        grid = torch.stack((x.expand(ori), y[:, None].expand(ori)), -1)[None]
        return F.grid_sample(values[None], grid, padding_mode='border',
                             align_corners=False)[0]
    made = resize(values, padded)[:, :image[0], :image[1]]
    return resize(made, ori, 'bilinear' if way == 'bilinear' else 'nearest')


def blobs(n, cells, seed, spread=.3):
    """Values of compact objects of any size, some at edges, one nowhere."""
    rng = torch.Generator().manual_seed(seed)
    y, x = ((torch.arange(s) + .5) / s for s in cells)
    middle, sides = torch.rand(2, n, 2, 1, generator=rng)
    sides = .03 + spread * sides
    values = 1 - ((y - middle[:, 0]) / sides[:, 0])[..., None]**2 - (
        (x - middle[:, 1]) / sides[:, 1])[:, None]**2
    values += .3 * torch.randn(n, *cells, generator=rng) * (values > -1)
    values[n // 2] = -1.
    return values


#: cells, stride, image, original, padded input.
SIZES = [
    ((24, 40), 4, (90, 160), (90, 160), (96, 160)),  # nothing to resize
    ((24, 40), 4, (90, 160), (180, 320), (96, 160)),  # twice
    ((24, 40), 4, (90, 160), (270, 480), (96, 160)),  # three times
    ((24, 40), 4, (90, 160), (67, 119), (96, 160)),  # made smaller
    ((24, 40), 4, (90, 160), (45, 80), (96, 160)),  # by a half
    ((24, 40), 4, (93, 157), (101, 157), (94, 158)),  # no multiple of 4
    ((23, 37), 8, (180, 290), (180, 581), (184, 296)),
    ((12, 9), 2, (24, 18), (24, 18), (24, 18)),
]


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('way', sorted(WAYS_BACK))
def test_only_what_can_be_positive_is_made_and_nothing_differs(
        way, sizes):
    """Masks are those of whole canvases, bit for bit."""
    cells, stride, image, ori, padded = sizes
    scale = image[1] / ori[1], image[0] / ori[0]
    values = torch.cat((blobs(6, cells, 0), torch.rand(2, *cells),
                        torch.full((1, *cells), .37),
                        torch.ones(1, *cells)))
    expected = whole(values, way, stride, image, ori, padded, scale)
    for threshold in (0., .5, .37):
        found = masks(values, way, stride, image, ori, padded, scale=scale,
                      threshold=threshold)
        assert torch.equal(found, expected > threshold)


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('way', sorted(WAYS_BACK))
def test_values_of_any_part_are_those_of_the_whole(way, sizes):
    """Also where they are not positive: rounding is the same."""
    cells, stride, image, ori, padded = sizes
    scale = image[1] / ori[1], image[0] / ori[0]
    values = torch.randn(2, *cells)
    expected = whole(values, way, stride, image, ori, padded, scale)
    canvas = ways.Canvas.of(meta(image, ori, padded, scale), stride)
    for first, last in ((0, 3), (2, 3), (5, 9), (1, 8), (8, 9)):
        part, (y, x) = run(values, WAYS_BACK[way](cells, canvas),
                           (range(first, last), range(first, last)))
        assert part.numel() and torch.equal(
            part, expected[:, y.start:y.stop, x.start:x.stop])


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
    every = pixels(source, torch.arange(7))
    monkeypatch.setattr(ways, 'CHUNK', 3)
    assert torch.equal(pixels(source, torch.arange(7)), every)
    rows = torch.tensor([5, 0])
    lazy = MaskSource(lambda some: values[some], source.meta, way, 4)
    assert torch.equal(pixels(lazy, rows), every[rows])
    assert pixels(lazy, rows[:0]).shape == (0, 41, 37)
    half = MaskSource(values.bfloat16(), source.meta, way, 4)
    assert (pixels(half, rows) != every[rows]).float().mean() < .02


@pytest.mark.parametrize('way', sorted(WAYS_BACK))
def test_rated_masks_are_the_masks_and_their_probabilities(way):
    values = 3 * torch.randn(5, 8, 8)
    values[2] = -1.  # nothing
    sizes = (30, 26), (41, 37), (32, 32)
    source = MaskSource(values, meta(*sizes), way, 4)
    rows = torch.tensor([3, 2, 0])
    codes, sums = source.rate(rows)
    assert codes == source.encode(rows)
    masks = pixels(source, rows)
    assert sums[:, 1].tolist() == masks.sum((1, 2)).tolist()
    full = whole(values[rows], way, 4, *sizes)
    for i in range(3):
        expected = sum(full[i, masks[i]].sigmoid().tolist())
        assert sums[i, 0].item() == pytest.approx(expected, rel=1e-5)
    none, sums = source.rate(rows[:0])
    assert none == [] and sums.shape == (0, 2)
