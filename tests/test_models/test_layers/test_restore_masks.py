"""Masks on their way back to the original frame."""
import torch

from mmvis_memcnp.models.layers import restore_masks


def test_padding_is_cut_off_before_the_resize():
    logits = torch.full((1, 4, 4), -1.)
    logits[:, :2, 2:] = 1.  # right half of the image, which is 16x32 of 32x32
    masks = restore_masks(logits, (32, 32), (16, 32), (8, 8))
    assert masks.shape == (1, 8, 8) and masks.dtype == torch.bool
    assert masks[0, :-1, 4:].all() and not masks[0, :, :3].any()


def test_nothing_found():
    assert restore_masks(torch.zeros(0, 4, 4), (32, 32), (16, 32),
                         (8, 9)).shape == (0, 8, 9)
