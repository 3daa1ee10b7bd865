"""Reductions over groups of a flat batch, without a loop over groups."""
import torch
from torch import Tensor


def segment_sum(values: Tensor, index: Tensor, num: int) -> Tensor:
    """Sum of the values of each group.

    Args:
        values (Tensor): Shape (P, ...).
        index (Tensor): Shape (P,) int64, group of each value, in [0, num).
        num (int): Number of groups.

    Returns:
        Tensor: Shape (num, ...), zero for an empty group.
    """
    out = values.new_zeros((num, *values.shape[1:]))
    return out.index_add(0, index, values)


def segment_count(index: Tensor, num: int, dtype: torch.dtype) -> Tensor:
    """Number of members of each group, shape (num,)."""
    return segment_sum(torch.ones_like(index, dtype=dtype), index, num)


def segment_mean(values: Tensor, index: Tensor, num: int) -> Tensor:
    """Mean of each group of values (P,), zero for an empty group."""
    count = segment_count(index, num, values.dtype)
    return segment_sum(values, index, num) / count.clamp(min=1)


def segment_logsumexp(values: Tensor, index: Tensor, num: int) -> Tensor:
    """Log-sum-exp of each group of finite values.

    Args:
        values (Tensor): Shape (P,).
        index (Tensor): Shape (P,) int64.
        num (int): Number of groups.

    Returns:
        Tensor: Shape (num,), zero for an empty group.
    """
    largest = values.new_zeros(num).scatter_reduce(
        0, index, values.detach(), 'amax', include_self=False)
    total = segment_sum((values - largest[index]).exp(), index, num)
    # An empty group has no term; log(1) keeps its gradient finite.
    return torch.where(total > 0, total, 1.).log() + largest
