"""Refinement of tracked rows that sees all frames: DVIS, DVIS-DAQ, O2VIS."""
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from .anchor_layers import AnchorLayer
from .row_heads import RowHeads


class RefinerLayer(AnchorLayer):
    """Rows read themselves over time, each other, and their frames.

    Args:
        embed_dims (int): C.
        num_heads (int): Attention heads.
        feedforward_channels (int): Of the FFN.
        local_conv (bool): Whether each row is also convolved over time.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int, local_conv: bool) -> None:
        super().__init__(embed_dims, num_heads, feedforward_channels)
        self.time_attn = nn.MultiheadAttention(
            embed_dims, num_heads, batch_first=True)
        self.time_norm = nn.LayerNorm(embed_dims)
        self.conv: nn.Module | None = None
        if local_conv:
            wide, narrow = (nn.Conv1d(
                embed_dims, embed_dims, size, padding='same',
                padding_mode='replicate') for size in (5, 3))
            self.conv = nn.Sequential(wide, nn.ReLU(), narrow)
            self.conv_norm = nn.LayerNorm(embed_dims)

    def refine(self, rows: Tensor, frames: Tensor) -> Tensor:
        """Rows (B, T, N, C) after the layer; of frames (B, T, M, C)."""
        x = rows.transpose(1, 2).flatten(0, 1)
        # Without weights the table of all pairs of frames is never made.
        x = self.time_norm(x + self.time_attn(x, x, x, need_weights=False)[0])
        if self.conv is not None:
            x = self.conv_norm(
                x + self.conv(x.transpose(1, 2)).transpose(1, 2))
        x = x.unflatten(0, (len(rows), -1)).transpose(1, 2).flatten(0, 1)
        frames = frames.flatten(0, 1)
        x = self.norms[1](self.self_attn(x))
        x = self.norms[0](self.cross_attn(x, frames, frames))
        return self.norms[2](self.ffn(x)).view_as(rows)


@MODELS.register_module()
class TemporalRefiner(RowHeads):
    """Looks again at the rows that a tracker has followed, over all frames.

    A row has one class in the video, read from a mean over time that the
    network weighs, and a mask a frame. No position is encoded, neither over
    time nor over rows. Source: Zhang et al., DVIS, ICCV 2023; with the
    convolutions DVIS++, arXiv 2312.13305.

    Args:
        num_classes (int): K.
        num_layers (int): L. Defaults to 6.
        local_conv (bool): Whether rows are also convolved over five frames,
            then three (DVIS++, O2VIS). Defaults to False.
        kwargs: See :class:`RowHeads`.
    """

    def __init__(self, num_classes: int, num_layers: int = 6,
                 local_conv: bool = False, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.layers = self.stack(
            num_layers, RefinerLayer, local_conv=local_conv)
        self.time_weight = nn.Linear(self.layer_sizes[0], 1)

    def forward(self, rows: Tensor, frames: Tensor,
                all_layers: bool) -> tuple[Tensor, Tensor]:
        """What the rows are, and where, in B videos.

        Args:
            rows (Tensor): Shape (B, T, N, C), aligned over time.
            frames (Tensor): Shape (B, T, M, C), queries of the frames.
            all_layers (bool): Keep all layers, not the last alone.

        Returns:
            tuple[Tensor, Tensor]: Class logits (L, B, N, K + 1), the last of
            no object, and weights (L, B, T, N, D) of the mask features.
        """
        states = []
        # Of a memory, rows are single precision in a cast model, too.
        rows = rows.to(self.norm.weight.dtype)
        for layer in self.layers:
            rows = layer.refine(rows, frames)
            states.append(rows)
        hidden = self.norm(torch.stack(states if all_layers else states[-1:]))
        share = self.time_weight(hidden).float().softmax(2).to(hidden.dtype)
        return (self.cls_embed((share * hidden).sum(2)),
                self.mask_embed(hidden))
