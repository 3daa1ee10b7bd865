"""SipMask with MemCNP says boxes in pixels that no input size changes."""
import warnings

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mmvis_memcnp.apis import VISInferencer
from tests.fakes.tiny_sipmask import tiny_model

SHIPPED = 'sipmask-memcnp_r18_movingshapes'


@pytest.fixture(scope='module')
def shipped():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return VISInferencer(f'configs/sipmask/{SHIPPED}.py',
                             f'demo/weights/{SHIPPED}.pth', 'cpu')


@pytest.mark.parametrize('height, width', [
    (128, 192),  # what the weights were trained on
    (192, 128),  # as a telephone films
    (128, 128),
    (256, 128),  # resized to half
    (128, 384),
])
def test_a_circle_has_its_box_in_frames_of_any_shape(shipped, height, width):
    frame = np.full((height, width, 3), 90, np.uint8)
    cv2.circle(frame, (width // 2, height // 2), 25, (40, 40, 220), -1)
    found, = shipped.session().step([frame])
    x, y = width // 2, height // 2
    expected = torch.tensor([x - 25, y - 25, x + 26, y + 26])
    error = (found.bboxes[0] - expected).abs().max()
    # Two cells of the mask basis.
    assert error < 4 * max(1, max(height, width) / 192)
    assert found.scores[0] > .4


class Constant(nn.Module):
    """A convolution that says the same everywhere."""

    def __init__(self, values):
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, x):
        return self.values.view(1, -1, 1, 1).expand(
            len(x), -1, *x.shape[-2:])


def outputs(height, width, **head):
    """Maps of a head whose sides are a half of its unit, sigmas one."""
    model = tiny_model(**head).eval()
    model.bbox_head.fcos_reg = Constant([0.] * 8)
    feats = tuple(torch.randn(1, 16, height // s, width // s)
                  for s in (8, 16, 32, 64))
    with torch.no_grad():
        return model.bbox_head, model.bbox_head(feats)


@pytest.mark.parametrize('unit, sides', [
    ((40, 24), (20, 12)),
    # as released: of this input
    (None, (64, 32)),
])
def test_sides_are_fractions_of_the_unit(unit, sides):
    head, outs = outputs(64, 128, side_unit=unit)
    points = head.points(outs.cls_scores)[0]
    for (x, y), box in zip(points.tolist(), outs.boxes[0][0].tolist(),
                           strict=True):
        # never outside of the input, though that is larger than the unit
        assert box == pytest.approx([
            max(x - sides[0], 0), max(y - sides[1], 0),
            min(x + sides[0], 128), min(y + sides[1], 64)])


@pytest.mark.parametrize('shape', [(64, 64), (64, 128), (128, 64)])
def test_standard_deviations_are_of_the_same_pixels_in_any_input(shape):
    """Here in the unit of the head."""
    height, width = shape
    head, outs = outputs(height, width, side_unit=(64, 80), memcnp=dict(
        type='MemCNP', num_items=8, box_unit='image', training={}))
    outs.cls_scores[0][:] = 4.
    outs.centernesses[0][:] = 4.
    meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1., 1.))
    found, = head.predict(outs, [meta])
    assert len(found)
    pixels = found.box_sigmas * torch.tensor([width, height] * 2)
    sigma = outs.sigmas[0][0, 0, 0]
    assert torch.allclose(pixels, sigma * torch.tensor([64., 80, 64, 80]))


def test_an_input_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match=(
            r'input is 192x64 pixels, but boxes reach at most 64 and 64 .* '
            r'side_unit of the head to \(192, 64\)')):
        tiny_model(side_unit=(64, 64)).bbox_head.check_input(64, 192)
    tiny_model(side_unit=(64, 64)).bbox_head.check_input(128, 128)
    tiny_model(side_unit=None).bbox_head.check_input(1000, 1000)
    with pytest.raises(ValueError, match='side_unit must be positive'):
        tiny_model(side_unit=(0, 64))
