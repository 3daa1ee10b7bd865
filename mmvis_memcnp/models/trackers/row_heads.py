"""What trackers that learn predict of their rows."""
from __future__ import annotations

from collections.abc import Callable

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from .anchor_layers import AnchorLayer, SlotLayer


class RowHeads(BaseModule):
    """Base of what has layers over rows: heads of classes and masks, which
    all layers share.

    Args:
        num_classes (int): K.
        embed_dims (int): C, of the rows and of the frames' queries. Defaults
            to 256.
        num_heads (int): Attention heads. Defaults to 8.
        feedforward_channels (int): Defaults to 2048.
        mask_dims (int): D, channels of the mask features. Defaults to 256.
        mask_proj (bool): Whether masks are read from a projection of the mask
            features. Defaults to False.
        by_reference (bool): Whether classes are read from the reference of a
            row as well (DVIS++). Defaults to False.
    """

    def __init__(self,
                 num_classes: int,
                 embed_dims: int = 256,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 mask_dims: int = 256,
                 mask_proj: bool = False,
                 by_reference: bool = False) -> None:
        super().__init__()
        self.layer_sizes = embed_dims, num_heads, feedforward_channels
        self.norm = nn.LayerNorm(embed_dims)
        self.cls_embed = nn.Linear(
            embed_dims * (2 if by_reference else 1), num_classes + 1)
        self.mask_embed = MLP(embed_dims, embed_dims, mask_dims, 3)
        self.mask_proj = nn.Conv2d(mask_dims, mask_dims, 1) \
            if mask_proj else nn.Identity()

    def stack(self, count: int, layer: Callable[..., nn.Module] = AnchorLayer,
              **options: bool) -> ModuleList:
        """So many layers."""
        return ModuleList(
            layer(*self.layer_sizes, **options) for _ in range(count))

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
