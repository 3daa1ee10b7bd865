"""Deformable decoder with iterative refinement of the boxes."""
from typing import NamedTuple, Optional, Sequence

import torch
from mmdet.models.layers import DeformableDetrTransformerDecoderLayer
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


class DecodedQueries(NamedTuple):
    """What L decoder layers say about Q queries of B frames.

    Attributes:
        hidden: (L, B, Q, C), output of each layer.
        references: (L, B, Q, 2), the points that *enter* each layer, x and y
            as fractions of the image; without gradient from layer 1 on.
        boxes: (L, B, Q, 4), cx, cy, w, h after each layer, float32.
        sigmas: (L, B, Q, 4), see ``BoxPrediction``; None in a plain host.
    """
    hidden: Tensor
    references: Tensor
    boxes: Tensor
    sigmas: Optional[Tensor] = None

    def frames(self, index) -> 'DecodedQueries':
        """Some of the frames.

        Args:
            index: anything that indexes one axis of a tensor.
        """
        return DecodedQueries(
            self.hidden[:, index], self.references[:, index],
            self.boxes[:, index],
            None if self.sigmas is None else self.sigmas[:, index])

    def layers(self, index: slice) -> 'DecodedQueries':
        """Some of the layers.

        Args:
            index (slice): Of the first axis, which stays.
        """
        return DecodedQueries(
            self.hidden[index], self.references[index], self.boxes[index],
            None if self.sigmas is None else self.sigmas[index])


class _DecoderLayer(DeformableDetrTransformerDecoderLayer):
    """mmdet's layer around our attention."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.cross_attn = DeformableAttention(**self.cross_attn_cfg)


@MODELS.register_module()
class DeformableDecoder(BaseModule):
    """Decoder of Deformable DETR with box refinement.

    mmdet's decoder keeps neither the references that enter a layer nor what a
    box branch says beside the box, and its branches would run once more in
    the head; the layers are mmdet's.

    Args:
        num_layers (int): L. Defaults to 6.
        embed_dims (int): C. Defaults to 256.
        num_levels (int): Levels of the encoder. Defaults to 4.
        num_heads (int): Defaults to 8.
        num_points (int): Sampling points a head and level. Defaults to 4.
        feedforward_channels (int): Defaults to 1024.
        dropout (float): Defaults to 0.1.
    """

    def __init__(self,
                 num_layers: int = 6,
                 embed_dims: int = 256,
                 num_levels: int = 4,
                 num_heads: int = 8,
                 num_points: int = 4,
                 feedforward_channels: int = 1024,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.embed_dims = embed_dims
        self.layers = nn.ModuleList([
            _DecoderLayer(
                self_attn_cfg=dict(
                    embed_dims=embed_dims,
                    num_heads=num_heads,
                    attn_drop=dropout,
                    dropout_layer=dict(type='Dropout', drop_prob=dropout),
                    batch_first=True),
                cross_attn_cfg=dict(
                    embed_dims=embed_dims,
                    num_levels=num_levels,
                    num_heads=num_heads,
                    num_points=num_points,
                    dropout=dropout,
                    batch_first=True),
                ffn_cfg=dict(
                    embed_dims=embed_dims,
                    feedforward_channels=feedforward_channels,
                    ffn_drop=dropout,
                    act_cfg=RELU)) for _ in range(num_layers)
        ])

    def init_weights(self) -> None:
        """See :func:`init_matrices`."""
        init_matrices(self.layers)

    def forward(self, query: Tensor, query_pos: Tensor, reference: Tensor,
                encoded: EncodedFrames,
                box_branches: Sequence[BoxRegressor]) -> DecodedQueries:
        """Decode queries.

        A layer's boxes start from the previous layer's, without gradient to
        them, and are the references of the next layer.

        Args:
            query (Tensor): Shape (B, Q, C), content of the queries.
            query_pos (Tensor): Shape (B, Q, C), their positions.
            reference (Tensor): Shape (B, Q, 2), x and y as fractions of the
                image, or (B, Q, 4), cx, cy, w, h.
            encoded (EncodedFrames): Of the B frames.
            box_branches (Sequence[BoxRegressor]): One a layer, each called
                once; see ``reading``.

        Returns:
            DecodedQueries: See there.
        """
        attention = encoded.cross_attention()
        hidden, references, boxes, sigmas = [], [], [], []
        for layer, branch in zip(self.layers, box_branches, strict=True):
            # Levels are padded differently: a reference has a place on each.
            ratios = encoded.valid_ratios
            if reference.shape[-1] == 4:
                ratios = torch.cat((ratios, ratios), -1)
            query = layer(
                query,
                query_pos=query_pos,
                reference_points=reference[:, :, None] * ratios[:, None],
                **attention)
            prediction = branch(query)
            box = refine_boxes(prediction.delta, reference)
            hidden.append(query)
            references.append(reference[..., :2])
            boxes.append(box)
            sigmas.append(prediction.sigma)
            reference = box.detach()
        return DecodedQueries(
            torch.stack(hidden), torch.stack(references), torch.stack(boxes),
            _stack(sigmas))


def _stack(layers: Sequence[Optional[Tensor]]) -> Optional[Tensor]:
    """One tensor, or None where a host has nothing to stack."""
    present = [x for x in layers if x is not None]
    return torch.stack(present) if present else None
