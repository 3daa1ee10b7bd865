"""Sigmoid focal loss, which mmdet runs through mmcv for tensors on a GPU.

Lin et al., "Focal Loss for Dense Object Detection", eq 5, a sigmoid a class.
"""
import torch
import torch.nn.functional as F
from torch import Tensor


def _per_class(input: Tensor, target: Tensor, weight: Tensor, gamma: float,
               alpha: float) -> tuple[Tensor, Tensor]:
    """Loss and its derivative by the logits, both (n, C).

    Args:
        input (Tensor): (n, C) logits.
        target (Tensor): (n,) int64 class, C for background.
        weight (Tensor): (C,) of the target's class, or empty.
    """
    classes = input.shape[1]
    positive = F.one_hot(target, classes + 1)[:, :classes].bool()
    # Written for the logit of what is true: z for a positive, -z else.
    sign = positive.to(input.dtype) * 2 - 1
    logit = input * sign
    wrong, log_p = torch.sigmoid(-logit), F.logsigmoid(logit)
    factor = torch.where(positive, alpha, 1 - alpha) * wrong**gamma
    if weight.numel():
        # Background rows have no class of their own and keep their loss.
        padded = torch.cat((weight, weight.new_ones(1)))
        factor = factor * padded[target][:, None]
    loss = -factor * log_p
    grad = factor * (gamma * (1 - wrong) * log_p - wrong) * sign
    return loss, grad


def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor,
                               output: Tensor, *, gamma: float,
                               alpha: float) -> None:
    """Write the loss of every logit into ``output`` (n, C)."""
    output.copy_(_per_class(input, target, weight, gamma, alpha)[0])


def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor,
                                grad_input: Tensor, *, gamma: float,
                                alpha: float) -> None:
    """Write the derivative by every logit into ``grad_input`` (n, C)."""
    grad_input.copy_(_per_class(input, target, weight, gamma, alpha)[1])
