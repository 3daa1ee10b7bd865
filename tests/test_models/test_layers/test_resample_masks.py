"""Masks in one step to the original frame."""
import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.models.layers.resample_masks import resample_masks


@pytest.mark.parametrize('size', [(48, 64), (37, 91), (8, 8)])
def test_without_padding_it_is_plain_resizing(size):
    logits = torch.randn(20, 6, 8)
    plain = F.interpolate(logits[:, None], size=size, mode='bilinear',
                          align_corners=False)[:, 0]
    found = resample_masks(logits, 4, (24, 32), size)
    clear = plain.abs() > 1e-4
    assert torch.equal(found[clear], (plain > 0)[clear])


def test_padding_is_cut_off():
    logits = torch.full((1, 8, 8), -1.)
    logits[:, :4, :4] = 1.  # the upper left 16 x 16 pixels
    found = resample_masks(logits, 4, (16, 16), (30, 40))
    assert found.shape == (1, 30, 40) and found[:, :28, :37].all()
    half = resample_masks(logits, 4, (32, 16), (40, 20))
    assert half[0, :19, :18].all() and not half[0, 21:].any()


def test_no_mask():
    assert resample_masks(torch.zeros(0, 4, 4), 4, (16, 16),
                          (9, 9)).shape == (0, 9, 9)
