"""Focal and dice loss, on numbers worked out by hand."""
import math

import pytest
import torch
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

from mmvis_memcnp.models.losses.focal_dice import focal_and_dice, sigmoid_focal


def test_focal_loss_at_one_half():
    """p = 1/2: a quarter, or three quarters, of 1/4 of log 2."""
    loss = sigmoid_focal(torch.zeros(2), torch.tensor([1., 0.]), 0.25, 2.)
    assert loss.tolist() == pytest.approx(
        [math.log(2) / 16, 3 * math.log(2) / 16])


def test_focal_loss_is_that_of_mmdet():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5)
    target = (torch.rand(3, 4, 5) > 0.5).float()
    torch.testing.assert_close(
        sigmoid_focal(logits, target, 0.3, 1.5),
        py_sigmoid_focal_loss(
            logits, target, gamma=1.5, alpha=0.3, reduction='none'))


def test_half_precision_is_widened():
    logits = torch.randn(2, 3).half()
    focal, dice = focal_and_dice(logits, logits > 0, 0.25, 2.)
    assert focal.dtype == dice.dtype == torch.float32


def test_masks_by_instance():
    """Two of four pixels of 2x2: at one half, dice is 1 - 3/5."""
    target = torch.tensor([[[1, 1], [0, 0]], [[1, 1], [1, 1]]]).bool()
    logits = torch.stack((torch.zeros(2, 2), torch.full((2, 2), 40.)))
    focal, dice = focal_and_dice(logits, target, 0.25, 2.)
    assert focal.tolist() == pytest.approx([math.log(2) / 8, 0.])
    assert dice.tolist() == pytest.approx([1 - 3 / 5, 0.])
    none = focal_and_dice(logits[:0], target[:0], 0.25, 2.)
    assert [x.shape for x in none] == [(0, ), (0, )]
