"""CropSplit: literal tables, properties, and compiled against PyTorch."""
import math

import pytest
import torch

from mmvis_memcnp.ops import crop_split, crop_split_gt, library
from mmvis_memcnp.ops.crop_split_torch import crop_split as twin

compiled = pytest.mark.skipif(
    bool(library.load()), reason='the compiled operators are not built')


def numbered(c: int = 2, h: int = 4, w: int = 5, n: int = 1) -> torch.Tensor:
    """data[k, r, q, :] = 100 k + 10 r + q."""
    cell, row, col = torch.meshgrid(
        torch.arange(c * c), torch.arange(h), torch.arange(w), indexing='ij')
    value = 100. * cell + 10 * row + col
    return value[..., None].repeat(1, 1, 1, n)


def box(*xyxy: float) -> torch.Tensor:
    return torch.tensor([xyxy])


def test_worked_example():
    # Columns 1..4, rows 1..3 are inside; cells are (3.7+.1)/2 = 1.9 wide and
    # (2.5+.1)/2 = 1.3 high: columns 1, 2 | 3, 4 and rows 1, 2 | 3.
    out = crop_split(numbered(), box(0.5, 1.0, 4.2, 3.5), 2)
    assert out[..., 0].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 11, 12, 113, 114],
        [0, 21, 22, 123, 124],
        [0, 231, 232, 333, 334],
    ]


@pytest.mark.parametrize('xyxy', [
    (1., 1., 1., 3.),  # no width
    (1., 2., 4., 2.),  # no height
    (4., 1., 1., 3.),  # reversed in x
    (1., 3., 4., 1.),  # reversed in y
    (math.nan, 1., 4., 3.),
    (1., math.nan, 4., 3.),
    (1., 1., math.nan, 3.),
    (1., 1., 4., math.nan),
    (-5., -5., -1., -1.),  # wholly left of and above the map
    (5., 0., 9., 4.),  # wholly right of it
    (0., 4., 5., 9.),  # wholly below it
    (1.2, 0., 1.9, 4.),  # between two columns
])
def test_boxes_that_hold_no_pixel_give_zeros(xyxy):
    out = crop_split(numbered() + 1, box(*xyxy), 2)
    assert not out.any()


def test_cells_come_from_the_unclipped_box():
    # 16 wide from -8: cells are 8.05 wide, so that column 0 (8 from the left)
    # is still in the left half and column 1 is not; likewise for rows.
    out = crop_split(numbered(), box(-8., -8., 8., 8.), 2)
    assert out[..., 0].tolist() == [
        [0, 101, 102, 103, 104],
        [210, 311, 312, 313, 314],
        [220, 321, 322, 323, 324],
        [230, 331, 332, 333, 334],
    ]


@pytest.mark.parametrize('xyxy, inside', [
    ((-math.inf, -math.inf, math.inf, math.inf), True),
    ((0., 0., 3e38, 3e38), True),  # so long that 0.1 is lost
    ((-3e38, -3e38, 0., 0.), False),
])
def test_extreme_boxes_stay_within_the_cells(xyxy, inside):
    out = crop_split(numbered() + 1, box(*xyxy), 2)
    assert out.isfinite().all()
    assert bool((out > 0).all()) is inside
    assert bool((out == 0).all()) is not inside


def test_one_cell_is_a_crop_and_the_ground_truth_form():
    data, rois = numbered(c=1), box(1., 0., 3., 2.)
    expected = [[0, 1, 2, 0, 0], [0, 11, 12, 0, 0], [0] * 5, [0] * 5]
    assert crop_split(data, rois, 1)[..., 0].tolist() == expected
    for c in (1, 2):
        assert crop_split_gt(data[0], rois, c)[..., 0].tolist() == expected


def test_values_outside_do_not_leak():
    data = torch.full((4, 4, 5, 1), math.nan)
    data[:, 1, 1] = 7
    out = crop_split(data, box(1., 1., 2., 2.), 2)
    assert out.sum() == 7 and out[1, 1] == 7


def test_no_boxes():
    data = torch.zeros(4, 3, 5, 0, requires_grad=True)
    out = crop_split(data, torch.zeros(0, 4), 2)
    assert out.shape == (3, 5, 0)
    out.sum().backward()
    assert data.grad.shape == data.shape
    assert crop_split_gt(data[0], torch.zeros(0, 4), 2).shape == (3, 5, 0)


def test_boxes_do_not_interact():
    rois = torch.tensor([[0.5, 1., 4.2, 3.5], [2., 0., 1., 4.],
                         [-3., -1., 2.5, 9.]])
    together = crop_split(numbered(n=3), rois, 2)
    for i in range(3):
        alone = crop_split(numbered(), rois[i:i + 1], 2)
        assert torch.equal(together[..., i:i + 1], alone)


@pytest.mark.parametrize('shape, rois, c, message', [
    ((3, 4, 5, 1), (1, 4), 2, r'\(c\*c, h, w, n\) with c=2'),
    ((4, 4, 5, 2), (1, 4), 2, 'n=2'),
    ((4, 4, 5, 1), (1, 5), 2, 'must be'),
    ((4, 4, 5, 1), (1, 4), 0, 'at least 1'),
])
def test_what_does_not_fit_is_named(shape, rois, c, message):
    with pytest.raises(ValueError, match=message):
        crop_split(torch.zeros(shape), torch.zeros(rois), c)


def random_case(dtype=torch.float64, seed=0, n=6, c=2, h=9, w=11):
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn(c * c, h, w, n, generator=generator).to(dtype)
    rois = torch.rand(n, 4, generator=generator) * 16 - 3
    rois[:-1, 2:] = rois[:-1, :2] + rois[:-1, 2:].abs()  # the last: any
    return data, rois.double()


@pytest.mark.parametrize('function, c', [
    (twin, 2), (twin, 3),
    pytest.param(crop_split, 2, marks=compiled),
    pytest.param(crop_split, 1, marks=compiled),
])
def test_gradient(function, c):
    data, rois = random_case(c=c, h=4, w=5, n=3)
    data.requires_grad_()
    assert torch.autograd.gradcheck(lambda d: function(d, rois, c), data)


def test_ground_truth_gradient_is_the_masked_identity():
    data, rois = torch.rand(4, 5, 1, requires_grad=True), box(1., 0., 3., 2.)
    weight = torch.rand(4, 5, 1)
    (crop_split_gt(data, rois, 2) * weight).sum().backward()
    expected = torch.zeros_like(weight)
    expected[:2, 1:3] = weight[:2, 1:3]
    assert torch.equal(data.grad, expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_moves_the_same_values(dtype):
    # The operator only moves values, so that the 16-bit result is the 32-bit
    # one exactly, also far to the right, where 16 bits hold no odd column.
    data = torch.arange(4.)[:, None, None, None].expand(4, 3, 4000, 1)
    rois = box(3001., 0., 3999., 3.)
    out = crop_split(data.to(dtype), rois, 2)
    assert out.dtype == dtype
    assert torch.equal(out.float(), crop_split(data.contiguous(), rois, 2))
    assert out[0, 3000] == 0 and out[2, 3001] == 2 and out[2, 3998] == 3


@compiled
@pytest.mark.parametrize('c', [1, 2, 3])
@pytest.mark.parametrize('dtype', [
    torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('rois_dtype', [torch.float64, torch.float32])
def test_compiled_equals_twin(c, dtype, rois_dtype):
    for seed in range(5):
        data, rois = random_case(dtype, seed, c=c)
        rois = rois.to(rois_dtype)
        grad = torch.randn(data.shape[1:], generator=torch.Generator(
        ).manual_seed(seed)).to(dtype)
        results = []
        for function in (crop_split, twin):
            leaf = data.clone().requires_grad_()
            out = function(leaf, rois, c)
            out.backward(grad)
            results.append((out, leaf.grad))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])
        assert results[0][0].abs().sum() > 0


@compiled
def test_compiled_is_registered_properly():
    data, rois = random_case(torch.float32, c=2, h=3, w=4, n=2)
    ops = torch.ops.mmvis
    data.requires_grad_()
    torch.library.opcheck(ops.crop_split.default, (data, rois, 2))
    torch.library.opcheck(ops.crop_split_gt.default, (data[0].detach(), rois))


@compiled
def test_non_contiguous_input():
    data, rois = random_case(c=2)
    turned = data.transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    assert torch.equal(crop_split(turned, rois, 2), twin(data, rois, 2))


def test_the_switch_says_what_runs(monkeypatch):
    lines = []
    monkeypatch.setattr('mmvis_memcnp.ops.cropping.announce', lines.append)
    monkeypatch.setattr(library, 'compiled_for', lambda device: True)
    monkeypatch.setattr(torch.ops.mmvis, 'crop_split',
                        lambda data, rois, c: 'compiled', raising=False)
    data, rois = random_case(c=2)
    assert crop_split(data, rois, 2) == 'compiled'
    monkeypatch.setattr(library, 'compiled_for', lambda device: False)
    monkeypatch.setattr(library, 'load', lambda: 'not built')
    assert torch.equal(crop_split(data, rois, 2), twin(data, rois, 2))
    assert [('PyTorch (not built)' in line, 'compiled.' in line)
            for line in lines] == [(False, True), (True, False)]
