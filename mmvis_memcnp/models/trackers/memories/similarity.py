"""Memory that follows what looks like what it knows."""
from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ....results.saved_values import saveable
from .average import AverageMemory
from .base import MemoryState


@saveable
@dataclass(frozen=True)
class SimilarityState(MemoryState):
    """With the last L embeddings of the objects.

    Attributes:
        earlier: (B, M, L, C) of length 1; embedding i stands at i modulo L.
    """
    earlier: Tensor


@TASK_UTILS.register_module()
class SimilarityMemory(AverageMemory[SimilarityState]):
    """Momentum guided by similarity (CTVIS, eqs 1 and 2).

    ``m <- (1 - b) m + b e``, where b is the mean cosine of the embedding e
    with the object's earlier ones, at least 0: what looks unlike all before,
    such as an occluded object, changes little. Source: Ying et al., CTVIS,
    ICCV 2023. The anchors of DVIS-DAQ move in the same way. The first
    embedding is taken as it is.

    Args:
        length (int): L, earlier embeddings that b is averaged over. Higher =
            steadier, and more memory. For training at least the frames of a
            clip less one. 0 = b is the cosine with the memory m itself,
            which may be negative, as that of O2VIS, Table 3 (a), row 2, in
            its published form (LOMM): what is opposed pushes m away.
            Defaults to 10, as released CTVIS.
    """

    def __init__(self, length: int = 10) -> None:
        if length < 0:
            raise ValueError(f'length must not be negative, got {length}.')
        self.length = length

    def blank(self, embeds: Tensor, size: int) -> SimilarityState:
        """The state of objects that were never written."""
        batch, _, width = embeds.shape
        return SimilarityState(
            **super().blank(embeds, size).tensors(),
            earlier=embeds.new_zeros(batch, size, self.length, width))

    def share(self, state: SimilarityState, embeds: Tensor,
              weight: Tensor) -> Tensor:
        """b, (B, M) in [0, 1]; from -1 on with a ``length`` of 0."""
        unit = F.normalize(embeds, dim=-1)
        if not self.length:
            return (F.normalize(state.embeds, dim=-1) * unit).sum(-1)
        known = state.count.clamp(1, self.length)
        cosine = (state.earlier * unit[:, :, None]).sum((2, 3)) / known
        return cosine.clamp(min=0)

    def update(self, state: SimilarityState, embeds: Tensor, written: Tensor,
               weight: Tensor) -> SimilarityState:
        """Move what is written towards its new embedding, and note it."""
        moved = super().update(state, embeds, written, weight)
        if not self.length:
            return moved
        slots = torch.arange(self.length, device=embeds.device)
        oldest = slots == (state.count % self.length)[..., None]
        replaced = (oldest & written[..., None])[..., None]
        unit = F.normalize(embeds, dim=-1)[:, :, None]
        return replace(moved, earlier=torch.where(replaced, unit,
                                                  state.earlier))
