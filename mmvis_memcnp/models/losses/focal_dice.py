"""Focal and dice loss, by element and by instance."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ..truth.matches import Matches


def sigmoid_focal(logits: Tensor, target: Tensor, alpha: float,
                  gamma: float) -> Tensor:
    """Focal loss of every element (Lin et al., ICCV 2017).

    Args:
        logits: any shape.
        target: the same, 0 or 1, float32.
        alpha: weight of the ones; the zeros have ``1 - alpha``.
        gamma: exponent of what is missed.

    Returns:
        The same shape, float32.
    """
    logits = logits.float()
    missed = (logits.sigmoid() - target).abs()
    balance = alpha * target + (1 - alpha) * (1 - target)
    return balance * missed**gamma * F.binary_cross_entropy_with_logits(
        logits, target, reduction='none')


def focal_classes(logits: Tensor, labels: Tensor, matches: Matches,
                  alpha: float, gamma: float) -> Tensor:
    """Focal loss of the classes of every query, summed in each layer.

    Args:
        logits: (L, B, Q, K).
        labels: (B, G) int64, channels of the objects.
        matches: queries that stand for an object; the class of ignored ones
            is not learnt.
        alpha, gamma: of :func:`sigmoid_focal`.

    Returns:
        (L,) float32.
    """
    target = torch.zeros_like(logits, dtype=torch.float32)
    target[matches.layer, matches.frame, matches.query,
           labels[matches.frame, matches.gt]] = 1.
    loss = sigmoid_focal(logits, target, alpha, gamma)
    if matches.ignored is not None:
        loss = loss.masked_fill(matches.ignored[..., None], 0.)
    return loss.flatten(1).sum(1)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss of each mask, the counts of its pixels raised by 1.

    Args:
        logits: (P, N) float32.
        target: (P, N) float32, in [0, 1].

    Returns:
        (P,), in [0, 1].
    """
    p = logits.sigmoid()
    return 1 - (2 * (p * target).sum(1) + 1) / (p.sum(1) + target.sum(1) + 1)


def focal_and_dice(logits: Tensor, target: Tensor, alpha: float,
                   gamma: float) -> tuple[Tensor, Tensor]:
    """Losses of masks, or of tubes of masks.

    Args:
        logits: (P, ...).
        target: the same, bool.
        alpha, gamma: of :func:`sigmoid_focal`.

    Returns:
        Mean focal loss and dice loss of each of the P, float32.
    """
    logits, target = logits.float().flatten(1), target.flatten(1).float()
    return (sigmoid_focal(logits, target, alpha, gamma).mean(1),
            dice(logits, target))
