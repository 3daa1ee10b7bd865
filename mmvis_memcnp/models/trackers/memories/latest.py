"""Memory that keeps an object's latest embedding."""
from __future__ import annotations

from dataclasses import replace

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from .base import Memory, MemoryState


@TASK_UTILS.register_module()
class LatestMemory(Memory[MemoryState]):
    """An object is remembered by its last embedding.

    MaskTrack R-CNN and SipMask compare detections with it, MinVIS the queries
    of a frame with those of the frame before (Huang et al., NeurIPS 2022).
    """

    def update(self, state: MemoryState, embeds: Tensor, written: Tensor,
               weight: Tensor) -> MemoryState:
        """Replace what is written."""
        return replace(state, embeds=torch.where(written[..., None], embeds,
                                                 state.embeds))
