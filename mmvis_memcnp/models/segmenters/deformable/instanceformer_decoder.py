"""Decoder of InstanceFormer: self, deformable and memory attention."""
from typing import NamedTuple, Optional, Sequence

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.activations import RELU
from ...layers.deformable_attention import (
    DeformableAttention,
    init_matrices,
)
from ...memcnp import refine_boxes
from .box_branch import BoxRegressor
from .encoder import EncodedFrames
from .start_weights import rename_detr_layers

_OF_SINGLE_FRAMES = {
    'self_attn.attn.': ('self_attn.', ),
    'norms.0.': ('self_norm.', ),
    'norms.1.': ('cross_norm.', ),
    'norms.2.': ('ffn_norm.', ),
}


class DecodedFrames(NamedTuple):
    """Queries of a frame after each of L decoder layers.

    Attributes:
        queries: (L, B, Q, C).
        references: L tensors, what entered each layer: (B, Q, 2) points for
            the first, (B, Q, 4) boxes without gradient for the others.
        boxes: (L, B, Q, 4), cx, cy, w, h as fractions, float32.
    """
    queries: Tensor
    references: tuple[Tensor, ...]
    boxes: Tensor


class InstanceFormerDecoderLayer(BaseModule):
    """Self-attention, attention to the frame, to the memory, then an FFN.

    mmdet's layer has another order and no place for a memory.

    Args:
        embed_dims (int): C. Defaults to 256.
        num_heads (int): Defaults to 8.
        num_levels (int): Levels of the encoder. Defaults to 4.
        num_points (int): Sampling points a head and level. Defaults to 4.
        feedforward_channels (int): Defaults to 1024.
        dropout (float): Defaults to 0.1.
        with_memory (bool): Defaults to True.
        cross_position (bool): Whether the query of the deformable attention
            carries its position, as in Deformable DETR; the released code
            leaves it out. Defaults to True.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 num_heads: int = 8,
                 num_levels: int = 4,
                 num_points: int = 4,
                 feedforward_channels: int = 1024,
                 dropout: float = 0.1,
                 with_memory: bool = True,
                 cross_position: bool = True) -> None:
        super().__init__()
        self.cross_position = cross_position

        def attention() -> nn.MultiheadAttention:
            return nn.MultiheadAttention(
                embed_dims, num_heads, dropout, batch_first=True)

        self.self_attn = attention()
        self.self_norm = nn.LayerNorm(embed_dims)
        self.cross_attn = DeformableAttention(
            embed_dims=embed_dims,
            num_heads=num_heads,
            num_levels=num_levels,
            num_points=num_points,
            dropout=dropout)
        self.cross_norm = nn.LayerNorm(embed_dims)
        self.memory_attn = attention() if with_memory else None
        self.memory_norm = nn.LayerNorm(embed_dims) if with_memory else None
        self.ffn = FFN(embed_dims, feedforward_channels, act_cfg=RELU,
                       ffn_drop=dropout)
        self.ffn_norm = nn.LayerNorm(embed_dims)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, position: Tensor, reference: Tensor,
                frames: EncodedFrames,
                memory: Optional[tuple[Tensor, Tensor]]) -> Tensor:
        """One layer.

        Args:
            query, position (Tensor): Shape (B, Q, C).
            reference (Tensor): Shape (B, Q, levels, 2 or 4), as fractions of
                the padded levels.
            frames (EncodedFrames): B frames.
            memory (tuple[Tensor, Tensor], optional): Values and positions,
                (B, M, C); None where nothing is stored yet.

        Returns:
            Tensor: Shape (B, Q, C).
        """
        key = query + position
        attended = self.self_attn(key, key, query, need_weights=False)[0]
        query = self.self_norm(query + self.dropout(attended))
        query = self.cross_norm(
            self.cross_attn(
                query,
                query_pos=position if self.cross_position else None,
                reference_points=reference,
                **frames.cross_attention()))
        if (memory is not None and self.memory_attn is not None
                and self.memory_norm is not None):
            values, places = memory
            recalled = self.memory_attn(
                query + position, values + places, values,
                need_weights=False)[0]
            query = self.memory_norm(query + self.dropout(recalled))
        return self.ffn_norm(self.ffn(query))


@MODELS.register_module()
class InstanceFormerDecoder(BaseModule):
    """Layers that refine the boxes of a frame's queries one after another.

    Args:
        num_layers (int): Defaults to 6.
        kwargs: Of :class:`InstanceFormerDecoderLayer`.
    """

    def __init__(self, num_layers: int = 6, **kwargs) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [InstanceFormerDecoderLayer(**kwargs) for _ in range(num_layers)])

    def init_weights(self) -> None:
        """See :func:`init_matrices`."""
        init_matrices(self)

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Take over the layers of a ``DeformableDecoder``.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of this module's names, with the dot.
        """
        rename_detr_layers(state, prefix, _OF_SINGLE_FRAMES)

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        reference: Tensor,
        frames: EncodedFrames,
        memory: Optional[tuple[Tensor, Tensor]],
        box_branches: Sequence[BoxRegressor],
    ) -> DecodedFrames:
        """Decode one frame of each of B videos.

        Args:
            query, position (Tensor): Shape (B, Q, C).
            reference (Tensor): Shape (B, Q, 2), as fractions of the frame
                without padding.
            frames (EncodedFrames): B frames.
            memory (tuple[Tensor, Tensor], optional): See the layer.
            box_branches (Sequence): One a layer, called once.

        Returns:
            DecodedFrames: Of every layer.
        """
        queries, references, boxes = [], [], []
        for layer, branch in zip(self.layers, box_branches, strict=True):
            ratios = frames.valid_ratios
            if reference.shape[-1] == 4:
                ratios = torch.cat((ratios, ratios), -1)
            query = layer(query, position, reference[:, :, None] *
                          ratios[:, None], frames, memory)
            prediction = branch(query)
            box = refine_boxes(prediction.delta, reference)
            queries.append(query)
            references.append(reference)
            boxes.append(box)
            reference = box.detach()
        return DecodedFrames(
            torch.stack(queries), tuple(references), torch.stack(boxes))
