"""Memory of an object's last few embeddings, recent and sure ones first."""
from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ....results.saved_values import saveable
from .base import Memory, MemoryState


@saveable
@dataclass(frozen=True)
class WindowState(MemoryState):
    """With the last W embeddings of the objects.

    Attributes:
        recent: (B, M, W, C), newest last, zeros before the first.
        recent_weight: (B, M, W), how far each is to be trusted.
    """
    recent: Tensor
    recent_weight: Tensor


@TASK_UTILS.register_module()
class WindowMemory(Memory[WindowState]):
    """Weighted mean of an object's last embeddings, as released IDOL does.

    Embedding t of n, the newest being n, counts ``weight + t / n``.

    Args:
        length (int): W, embeddings to remember; higher = steadier, and slower
            to follow a change of appearance. Defaults to 3.
        normalize (bool): Average embeddings of length 1; for cosine
            similarities. Defaults to False.
    """

    def __init__(self, length: int = 3, normalize: bool = False) -> None:
        if length < 1:
            raise ValueError(f'length must be at least 1, got {length}.')
        self.length = length
        self.normalize = normalize

    def blank(self, embeds: Tensor, size: int) -> WindowState:
        """The state of objects that were never written."""
        batch, _, width = embeds.shape
        return WindowState(
            **super().blank(embeds, size).tensors(),
            recent=embeds.new_zeros(batch, size, self.length, width),
            recent_weight=embeds.new_zeros(batch, size, self.length))

    def update(self, state: WindowState, embeds: Tensor, written: Tensor,
               weight: Tensor) -> WindowState:
        """Push into the window of what is written, and average it."""
        if self.normalize:
            embeds = F.normalize(embeds, dim=-1)
        recent = torch.cat((state.recent[:, :, 1:], embeds[:, :, None]), 2)
        weights = torch.cat((state.recent_weight[:, :, 1:],
                             weight[:, :, None]), 2)
        filled = (state.count + 1).clamp(max=self.length)[..., None]
        slots = torch.arange(1, self.length + 1, device=embeds.device)
        age = slots - self.length + filled  # 1 to n where filled
        share = (weights + age / filled) * (age > 0)  # at least 1 in all
        mean = (share[..., None] * recent).sum(2) / share.sum(
            2, keepdim=True)
        held = written[..., None]
        return replace(
            state,
            embeds=torch.where(held, mean, state.embeds),
            recent=torch.where(held[..., None], recent, state.recent),
            recent_weight=torch.where(held, weights, state.recent_weight))
