"""Layers of a tracker whose rows read the queries of a frame."""
from __future__ import annotations

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmdet.models.layers import Mask2FormerTransformerDecoderLayer
from torch import Tensor, nn

from ..layers.activations import RELU


class AnchorLayer(Mask2FormerTransformerDecoderLayer):
    """Cross-attention by content and anchor, self-attention, FFN.

    With an identity, rows only ask, and what they read is added to the
    identity: the referring cross-attention of DVIS++ (Zhang et al., 2023).

    Args:
        embed_dims (int): C.
        num_heads (int): Attention heads.
        feedforward_channels (int): Of the FFN.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int) -> None:
        attention = dict(
            embed_dims=embed_dims, num_heads=num_heads, batch_first=True)
        super().__init__(
            self_attn_cfg=dict(attention),
            cross_attn_cfg=dict(attention),
            ffn_cfg=dict(
                embed_dims=embed_dims,
                feedforward_channels=feedforward_channels,
                act_cfg=RELU))

    def forward(self, rows: Tensor, anchors: Tensor | None, frame: Tensor,
                positions: Tensor | None, padded: Tensor | None,
                identity: Tensor | None = None) -> Tensor:
        """Rows after the layer, (B, R, C).

        Args:
            rows (Tensor): Shape (B, R, C).
            anchors (Tensor, optional): Shape (B, R, C), of the rows.
            frame (Tensor): Shape (B, N, C), queries of the frame.
            positions (Tensor, optional): Shape (B, N, C), anchors of these;
                there with ``anchors`` alone.
            padded (Tensor, optional): Shape (B, R) bool, rows that are none.
            identity (Tensor, optional): Shape (B, R, C), what is added to
                what the rows read; by default the rows.
        """
        rows = self.norms[0](self.cross_attn(
            rows, frame, frame, identity, query_pos=anchors,
            key_pos=positions))
        # Where an instance is says nothing of who its neighbours are.
        rows = self.norms[1](self.self_attn(rows, key_padding_mask=padded))
        return self.norms[2](self.ffn(rows))


class SlotLayer(nn.Module):
    """Slots compete for what queries of an image-level kind read of a frame.

    Args:
        embed_dims (int): C.
        num_heads (int): Heads of the cross-attention; the slots have one.
        feedforward_channels (int): Of the FFN.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int) -> None:
        super().__init__()
        self.cross_attn = nn.MultiheadAttention(
            embed_dims, num_heads, batch_first=True)
        self.slot_query = nn.Sequential(
            nn.LayerNorm(embed_dims),
            nn.Linear(embed_dims, embed_dims, bias=False))
        self.slot_key = nn.Sequential(
            nn.LayerNorm(embed_dims),
            nn.Linear(embed_dims, embed_dims, bias=False))
        self.norms = nn.ModuleList(
            [nn.LayerNorm(embed_dims), nn.LayerNorm(embed_dims)])
        self.ffn = FFN(embed_dims, feedforward_channels, act_cfg=RELU)

    def forward(self, rows: Tensor, positions: Tensor, slots: Tensor,
                frame: Tensor, padded: Tensor | None,
                hidden: Tensor | None) -> Tensor:
        """Rows after the layer, (B, S, C).

        Args:
            rows (Tensor): Shape (B, S, C).
            positions (Tensor): Shape (B, S, C), added where rows ask.
            slots (Tensor): Shape (B, S, C), one a row.
            frame (Tensor): Shape (B, N, C), queries of the frame.
            padded (Tensor, optional): Shape (B, S) bool, rows that are none.
            hidden (Tensor, optional): Shape (B, N) bool, queries of the frame
                that may not be seen.
        """
        read = self.cross_attn(
            rows + positions, frame, frame, key_padding_mask=hidden,
            need_weights=False)[0]
        keys, queries = self.slot_key(rows + read), self.slot_query(slots)
        with torch.autocast(rows.device.type, enabled=False):
            score = keys.float() @ queries.float().transpose(1, 2)
            score = score / queries.shape[-1]**.5
            if padded is not None:
                score = score.masked_fill(padded[:, None], -torch.inf)
            # Slots compete for each input, then average what they have won.
            weight = score.softmax(-1) + 1e-6
            if padded is not None:
                weight = weight.masked_fill(padded[..., None], 0.)
            weight = weight / weight.sum(1, keepdim=True)
            update = weight.transpose(1, 2) @ read.float()
        # A cast model's layers read their own type alone.
        rows = self.norms[0](
            rows + update.to(self.norms[0].weight.dtype))
        return self.norms[1](self.ffn(rows))
