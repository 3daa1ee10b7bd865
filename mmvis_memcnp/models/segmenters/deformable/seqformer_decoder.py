"""Decoder of SeqFormer: an instance query a clip, a box query a frame."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmdet.registry import MODELS
from mmengine.model import BaseModule, xavier_init
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

# Both kinds of queries start as the queries of single frames.
_OF_SINGLE_FRAMES = {
    'self_attn.attn.': ('instance.self_attn.', 'box.self_attn.'),
    'norms.': ('instance.norms.', 'box.norms.'),
    'ffn.': ('instance.ffn.', 'box.ffn.'),
    'cross_attn.output_proj.': ('instance_proj.', 'box_proj.'),
}


class DecodedClips(NamedTuple):
    """What every layer says about B clips of T frames with Q queries.

    Attributes:
        instances: (B, Q, C) a layer, one query for all frames.
        references: (B, T, Q, 2) a layer, centres that the layer started
            from, as fractions of the frame, without gradient after the first.
        boxes: (B, T, Q, 4) a layer, cx, cy, w, h as fractions of the frame.
        box_queries: (B, T, Q, C) a layer.
        sigmas: (B, T, Q, 4) a layer, or None in a plain host; see
            ``BoxPrediction``.
    """
    instances: list[Tensor]
    references: list[Tensor]
    boxes: list[Tensor]
    box_queries: list[Tensor]
    sigmas: list[Tensor | None]


class QueryStream(nn.Module):
    """Self-attention and feed-forward of one kind of queries, post-norm.

    Args:
        embed_dims (int): C.
        num_heads (int): Of the attention.
        feedforward_channels (int): Hidden channels.
        dropout (float): Of attention, residuals and feed-forward.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(
            embed_dims, num_heads, dropout, batch_first=True)
        self.ffn = FFN(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            act_cfg=RELU,
            ffn_drop=dropout)
        # After self-attention, what was read from the frames, feed-forward.
        self.norms = nn.ModuleList(
            [nn.LayerNorm(embed_dims) for _ in range(3)])
        self.dropout = nn.Dropout(dropout)

    def attend(self, query: Tensor, pos: Tensor) -> Tensor:
        """Self-attention among the Q queries of each of N sets.

        Args:
            query (Tensor): Shape (N, Q, C).
            pos (Tensor): Shape (Q, C), position of each query.

        Returns:
            Tensor: Shape (N, Q, C).
        """
        key = query + pos
        found = self.self_attn(key, key, query, need_weights=False)[0]
        return self.norms[0](query + self.dropout(found))

    def update(self, query: Tensor, read: Tensor) -> Tensor:
        """Take in what was read from the frames.

        Args:
            query (Tensor): Shape (..., Q, C).
            read (Tensor): The same shape.

        Returns:
            Tensor: The same shape.
        """
        query = self.norms[1](query + self.dropout(read))
        return self.norms[2](self.ffn(query))


class SeqFormerDecoderLayer(nn.Module):
    """One layer (SeqFormer, Sec. 3.2): box queries read, instances collect.

    The box query of a frame decides where that frame is read. What was read
    goes through one projection into the box query and through another into
    the instance query, there weighted over the frames.

    Args:
        embed_dims (int): C.
        num_heads (int): Of all attentions.
        num_levels (int): L of the encoder.
        num_points (int): Sampling points a head and level.
        feedforward_channels (int): Hidden channels.
        dropout (float): Of all parts.
    """

    def __init__(self, embed_dims: int, num_heads: int, num_levels: int,
                 num_points: int, feedforward_channels: int,
                 dropout: float) -> None:
        super().__init__()
        stream = (embed_dims, num_heads, feedforward_channels, dropout)
        self.instance = QueryStream(*stream)
        self.box = QueryStream(*stream)
        self.cross_attn = DeformableAttention(
            embed_dims=embed_dims,
            num_heads=num_heads,
            num_levels=num_levels,
            num_points=num_points,
            dropout=0.)
        # What it reads has two projections here instead of one.
        self.cross_attn.output_proj = nn.Identity()
        self.instance_proj = nn.Linear(embed_dims, embed_dims)
        self.box_proj = nn.Linear(embed_dims, embed_dims)
        self.frame_weight = nn.Linear(embed_dims, 1)

    def init_weights(self) -> None:
        """See :func:`init_matrices`."""
        init_matrices(self)
        for projection in (self.instance_proj, self.box_proj):
            xavier_init(projection, distribution='uniform')

    def forward(self, instance: Tensor, box: Tensor, pos: Tensor,
                references: Tensor,
                encoded: EncodedFrames) -> tuple[Tensor, Tensor]:
        """Run the layer.

        Args:
            instance (Tensor): Shape (B, Q, C).
            box (Tensor): Shape (B, T, Q, C), or (B, 1, Q, C) where the
                frames do not differ yet.
            pos (Tensor): Shape (Q, C).
            references (Tensor): Shape (B, T, Q, 2 or 4), points or boxes as
                fractions of the frame.
            encoded (EncodedFrames): B * T frames, clip by clip.

        Returns:
            tuple[Tensor, Tensor]: Instance queries (B, Q, C) and box queries
            (B, T, Q, C).
        """
        batch, frames = references.shape[:2]
        instance = self.instance.attend(instance, pos)
        box = self.box.attend(box.flatten(0, 1), pos).unflatten(
            0, (batch, -1)).expand(-1, frames, -1, -1)
        folded = box.flatten(0, 1)
        ratios = encoded.valid_ratios
        if references.shape[-1] == 4:
            ratios = torch.cat((ratios, ratios), dim=-1)
        read = self.cross_attn(
            query=folded,
            identity=torch.zeros_like(folded),
            query_pos=pos,
            reference_points=(references.flatten(0, 1)[:, :, None] *
                              ratios[:, None]),
            **encoded.cross_attention()).unflatten(0, (batch, frames))
        box = self.box.update(box, self.box_proj(read))
        weights = self.frame_weight(box).float().softmax(dim=1)
        collected = (self.instance_proj(read) * weights).sum(dim=1)
        return self.instance.update(
            instance, collected.to(self.instance_proj.weight.dtype)), box


@MODELS.register_module()
class SeqFormerDecoder(BaseModule):
    """Layers of SeqFormer with refinement of the boxes in every frame.

    Frames are an unordered set: nothing encodes their time.

    Args:
        num_layers (int): Defaults to 6.
        embed_dims (int): C. Defaults to 256.
        num_heads (int): Defaults to 8.
        num_levels (int): Levels of the encoder. Defaults to 4.
        num_points (int): Defaults to 4.
        feedforward_channels (int): Defaults to 1024.
        dropout (float): Defaults to 0.1.
    """

    def __init__(self,
                 num_layers: int = 6,
                 embed_dims: int = 256,
                 num_heads: int = 8,
                 num_levels: int = 4,
                 num_points: int = 4,
                 feedforward_channels: int = 1024,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.ModuleList([
            SeqFormerDecoderLayer(embed_dims, num_heads, num_levels,
                                  num_points, feedforward_channels, dropout)
            for _ in range(num_layers)
        ])

    def init_weights(self) -> None:
        """See :meth:`SeqFormerDecoderLayer.init_weights`."""
        for layer in self.layers:
            assert isinstance(layer, SeqFormerDecoderLayer)
            layer.init_weights()

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Take over the layers of a ``DeformableDecoder``.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of this module's names, with the dot.
        """
        rename_detr_layers(state, prefix, _OF_SINGLE_FRAMES)

    def forward(self, content: Tensor, pos: Tensor, points: Tensor,
                encoded: EncodedFrames, num_clips: int,
                box_branches: Sequence[BoxRegressor]) -> DecodedClips:
        """Decode clips.

        Args:
            content (Tensor): Shape (Q, C), what both kinds of queries start
                from.
            pos (Tensor): Shape (Q, C), position of each query.
            points (Tensor): Shape (Q, 2), first references, as fractions of
                the frame.
            encoded (EncodedFrames): B * T frames, clip by clip.
            num_clips (int): B.
            box_branches (Sequence[BoxRegressor]): One a layer; see
                ``reading``.

        Returns:
            DecodedClips: See there.
        """
        frames = len(encoded.memory) // num_clips
        instance = content.expand(num_clips, -1, -1)
        box = instance[:, None]
        references = points.expand(num_clips, frames, -1, -1)
        out: list[list] = [[] for _ in DecodedClips._fields]
        for layer, branch in zip(self.layers, box_branches, strict=True):
            instance, box = layer(instance, box, pos, references, encoded)
            delta, sigma = branch(box)
            boxes = refine_boxes(delta, references)
            for values, value in zip(
                    out, (instance, references[..., :2], boxes, box, sigma),
                    strict=True):
                values.append(value)
            references = boxes.detach()
        return DecodedClips(*out)
