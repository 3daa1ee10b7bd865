"""What trackers that learn predict of their rows."""
from __future__ import annotations

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule
from torch import Tensor, nn

from .anchor_layers import AnchorLayer, SlotLayer


class RowHeads(BaseModule):
    """Base of trackers with heads of classes and masks, shared by all layers.

    Args:
        num_classes (int): K.
        embed_dims (int): C, of the rows.
        mask_dims (int): D, channels of the mask features.
        mask_proj (bool): Whether masks are read from a projection of the mask
            features. Defaults to False.
        by_reference (bool): Whether classes are read from the reference of a
            row as well (DVIS++). Defaults to False.
    """

    def __init__(self,
                 num_classes: int,
                 embed_dims: int,
                 mask_dims: int,
                 mask_proj: bool = False,
                 by_reference: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims)
        self.cls_embed = nn.Linear(
            embed_dims * (2 if by_reference else 1), num_classes + 1)
        self.mask_embed = MLP(embed_dims, embed_dims, mask_dims, 3)
        self.mask_proj = nn.Conv2d(mask_dims, mask_dims, 1) \
            if mask_proj else nn.Identity()

    def init_weights(self) -> None:
        """Xavier-uniform for the matrices of the layers, as released."""
        for module in self.modules():
            if isinstance(module, (AnchorLayer, SlotLayer)):
                for parameter in module.parameters():
                    if parameter.dim() == 2:
                        nn.init.xavier_uniform_(parameter)

    def predict(self, hidden: Tensor, reference: Tensor | None = None
                ) -> tuple[Tensor, Tensor]:
        """Class logits and weights of the mask features.

        Args:
            hidden (Tensor): Shape (..., C), rows.
            reference (Tensor, optional): Shape (..., C), their references,
                where classes are read from these, too.

        Returns:
            tuple[Tensor, Tensor]: Shapes (..., K + 1) and (..., D); masks are
            the latter times ``mask_proj`` of the segmenter's features.
        """
        normed = self.norm(hidden)
        seen = normed if reference is None else torch.cat(
            (reference, normed), -1)
        return self.cls_embed(seen), self.mask_embed(normed)
