"""Memories that are a moving average, by a fixed or a given share."""
from __future__ import annotations

from dataclasses import replace

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from .base import Memory, MemoryState, S


class AverageMemory(Memory[S]):
    """Base of moving averages: ``(1 - share) * old + share * new``.

    The first embedding of an object is taken as it is.
    """

    def update(self, state: S, embeds: Tensor, written: Tensor,
               weight: Tensor) -> S:
        """Average what is written with what was there."""
        share = self.share(state, embeds, weight)[..., None]
        mixed = (1 - share) * state.embeds + share * embeds
        mixed = torch.where(state.count[..., None] > 0, mixed, embeds)
        return replace(state, embeds=torch.where(written[..., None], mixed,
                                                 state.embeds))

    def share(self, state: S, embeds: Tensor, weight: Tensor) -> Tensor:
        """Part of the new embeddings in the average, (B, M)."""
        raise NotImplementedError


@TASK_UTILS.register_module()
class MomentumMemory(AverageMemory[MemoryState]):
    """Every new embedding counts the same (O2VIS, Table 3 (a), row 3).

    Args:
        momentum (float): Part of the old in [0, 1); higher = steadier, and
            slower to follow a change of appearance. Defaults to 0.99, as
            O2VIS takes it.
    """

    def __init__(self, momentum: float = 0.99) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}.')
        self.momentum = momentum

    def share(self, state: MemoryState, embeds: Tensor,
              weight: Tensor) -> Tensor:
        """The same for all."""
        return torch.full_like(weight, 1 - self.momentum)


@TASK_UTILS.register_module()
class OccupancyMemory(AverageMemory[MemoryState]):
    """A new embedding counts as much as it shows an object (O2VIS, eq 3).

    The weight of a write is the probability of being an object. So a row
    without one hardly changes, and an object that is hidden stays remembered.
    """

    def share(self, state: MemoryState, embeds: Tensor,
              weight: Tensor) -> Tensor:
        """The weight itself."""
        return weight
