"""Box and mask arithmetic by hand."""
import pytest
import torch

from mmvis_memcnp.models.layers import (
    aligned_iou,
    centreness,
    distances_to_sides,
    jitter_boxes,
    level_points,
    sides_to_boxes,
)
from mmvis_memcnp.models.layers.masks import (
    half_resolution,
    prototype_logits,
    vectors_at,
)


def test_distances_and_back():
    point, box = torch.tensor([10., 20]), torch.tensor([4., 12, 30, 21])
    sides = distances_to_sides(point, box)
    assert sides.tolist() == [6, 8, 20, 1]
    assert torch.equal(sides_to_boxes(point, sides), box)


@pytest.mark.parametrize('sides, value', [
    ([5, 5, 5, 5], 1.), ([1, 2, 4, 2], .5), ([2, 1, 8, 4], .25),
    ([0, 3, 9, 3], 0.), ([-1, 3, 9, 3], 0.), ([0, 0, 0, 0], 0.)])
def test_centreness(sides, value):
    assert centreness(torch.tensor(sides).float()).item() == \
        pytest.approx(value, abs=1e-6)


def test_iou_with_and_without_the_last_pixel():
    a, b = torch.tensor([0., 0, 9, 9]), torch.tensor([5., 0, 14, 9])
    assert aligned_iou(a, b, 1).item() == pytest.approx(1 / 3)
    assert aligned_iou(a, b).item() == pytest.approx(36 / 126)


def test_points_are_cell_centres_row_by_row():
    fine, coarse = level_points([(2, 3), (1, 1)], [8, 16], 'cpu')
    assert fine.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12],
                             [20, 12]]
    assert coarse.tolist() == [[8, 8]]


def test_jitter_stays_within_its_amount():
    torch.manual_seed(0)
    boxes = torch.tensor([10., 20, 30, 60]).expand(500, 4)
    moved = jitter_boxes(boxes, 0.1)
    size = torch.tensor([20., 40])
    middle = (moved[:, :2] + moved[:, 2:]) / 2
    shift = (middle - torch.tensor([20., 40])) / size
    ratio = (moved[:, 2:] - moved[:, :2]) / size
    assert 0.09 < shift.abs().max() <= 0.1001
    assert 0.89 <= ratio.min() < 0.91 and 1.09 < ratio.max() <= 1.1001
    assert torch.equal(jitter_boxes(boxes, 0.), boxes)


def test_vectors_at_floor_round_and_clamp():
    feature = torch.arange(2 * 3 * 4.).view(2, 1, 3, 4)
    centres = torch.tensor([[15., 9], [-5, 3], [99, 99], [20, 12]])
    image = torch.tensor([0, 0, 1, 1])
    assert vectors_at(feature, centres, image, 8)[:, 0].tolist() == [
        5, 0, 23, 18]
    # 15/8 = 1.9 and 9/8 = 1.1; 20/8 = 2.5 and 12/8 = 1.5, half to even
    assert vectors_at(feature, centres, image, 8, 'round')[:, 0].tolist() == [
        6, 0, 23, 22]
    assert vectors_at(feature, centres[:0], image[:0], 8).shape == (0, 1)


def test_prototype_logits_of_uneven_images():
    g = torch.Generator().manual_seed(0)
    basis = torch.randn(3, 4, 5, 6, generator=g)
    image = torch.tensor([0, 0, 2])  # none in image 1
    coefficients = torch.randn(3, 2, 4, generator=g)
    expected = torch.einsum('pkm,pmhw->pkhw', coefficients, basis[image])
    assert torch.allclose(
        prototype_logits(basis, coefficients, image), expected, atol=1e-6)
    none = prototype_logits(basis.requires_grad_(), coefficients[:0],
                            image[:0])
    assert none.shape == (0, 2, 5, 6) and none.requires_grad


def test_half_resolution_needs_more_than_half_of_four_pixels():
    mask = torch.zeros(1, 4, 6, dtype=torch.bool)
    mask[0, :2, :2] = True  # a whole cell
    mask[0, 2, 2:4] = True  # half a cell: not more than half
    mask[0, 2:, 4] = True
    mask[0, 2, 5] = True  # three of four
    assert half_resolution(mask, (2, 3)).int().tolist() == [
        [[1, 0, 0], [0, 0, 1]]]
