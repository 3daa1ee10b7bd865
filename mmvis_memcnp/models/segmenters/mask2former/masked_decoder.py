"""What all mask decoders share: queries, their heads, reading within masks.

Cheng et al., Masked-attention Mask Transformer for Universal Image
Segmentation, CVPR 2022.
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmdet.models.layers import (
    Mask2FormerTransformerDecoderLayer,
    SinePositionalEncoding,
)
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ...layers.activations import RELU
from ...layers.deformable_attention import init_matrices
from .pixel_decoder import PixelMaps


class MaskedDecoder(BaseModule):
    """Base of the decoders; a subclass says what a layer does.

    Args:
        num_classes (int): K.
        num_queries (int): Q; more find more objects, and cost memory.
            Defaults to 100.
        num_layers (int): Defaults to 9.
        num_levels (int): Scales of the memory. Defaults to 3.
        embed_dims (int): C. Defaults to 256.
        num_heads (int): Defaults to 8.
        feedforward_channels (int): Defaults to 2048.
        mask_dims (int): D, channels of the mask features. Defaults to 256.
    """

    #: Stacks of layers, by their names.
    stacks: tuple[str, ...] = ('layers', )
    #: Whether the last class is no object; else classes are sigmoids.
    no_object = True

    def __init__(self,
                 num_classes: int,
                 num_queries: int = 100,
                 num_layers: int = 9,
                 num_levels: int = 3,
                 embed_dims: int = 256,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 mask_dims: int = 256) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.num_layers = num_layers
        attention = dict(
            embed_dims=embed_dims, num_heads=num_heads, batch_first=True)
        for name in self.stacks:
            self.add_module(name, ModuleList([
                Mask2FormerTransformerDecoderLayer(
                    self_attn_cfg=dict(attention),
                    cross_attn_cfg=dict(attention),
                    ffn_cfg=dict(
                        embed_dims=embed_dims,
                        feedforward_channels=feedforward_channels,
                        act_cfg=RELU))
                for _ in range(num_layers)
            ]))
        self.norm = nn.LayerNorm(embed_dims)
        self.query_feat = nn.Embedding(num_queries, embed_dims)
        self.query_embed = nn.Embedding(num_queries, embed_dims)
        self.level_embed = nn.Embedding(num_levels, embed_dims)
        self.position = SinePositionalEncoding(
            num_feats=embed_dims // 2, normalize=True)
        self.cls_embed = nn.Linear(embed_dims, num_classes + self.no_object)
        self.mask_embed = MLP(embed_dims, embed_dims, mask_dims, 3)

    def init_weights(self) -> None:
        """Xavier-uniform for the matrices of the layers, as released."""
        for name in self.stacks:
            init_matrices(getattr(self, name))

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Start from a decoder with more queries: from its first ones.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of the decoder's names, with the dot.
        """
        for name in ('query_feat', 'query_embed'):
            key, count = f'{prefix}{name}.weight', len(self.query_feat.weight)
            if key in state and len(state[key]) > count:
                state[key] = state[key][:count]

    def class_scores(self, logits: Tensor) -> Tensor:
        """Probabilities (..., K) of class logits."""
        if self.no_object:
            return logits.softmax(-1)[..., :-1]
        return logits.sigmoid()

    def _decode(self, hidden: Tensor, rows: Tensor,
                step: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]],
                all_layers: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layers.

        Args:
            hidden (Tensor): Queries (B, Q, C) that say classes, before the
                first layer.
            rows (Tensor): Queries (..., Q, C) that say masks.
            step (Callable): A layer: its number, the former and the mask
                weights of the latter, to both after it.
            all_layers (bool): Keep all layers, not the last alone.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Of L layers the queries that say
            classes (L, B, Q, C), the same after the norm, and weights of the
            mask features (L, ..., Q, D).
        """
        states = []
        for number in range(self.num_layers + 1):
            mask_embeds = self.mask_embed(self.norm(rows))
            if all_layers or number == self.num_layers:
                states.append((hidden, self.norm(hidden), mask_embeds))
            if number < self.num_layers:
                hidden, rows = step(number, hidden, mask_embeds)
        hiddens, queries, embeds = map(
            torch.stack, zip(*states, strict=True))
        return hiddens, queries, embeds

    def _keys(self, memories: tuple[Tensor, ...]) -> list[Tensor]:
        """Keys (B, n, C) of every scale."""
        return [
            memory.flatten(2).transpose(1, 2) + embed for memory, embed in zip(
                memories, self.level_embed.weight, strict=True)
        ]

    def _positions(self, memories: tuple[Tensor, ...],
                   *num_frames: int) -> list[Tensor]:
        """Positions (1, n, C) of the keys of every scale, of a frame or, if
        their number is given, of all frames of a clip."""
        return [
            self.position(memory.new_zeros(
                (1, *num_frames, *memory.shape[-2:]), dtype=torch.bool)
            ).movedim(-3, -1).flatten(1, -2).to(memory.dtype)
            for memory in memories
        ]

    @torch.no_grad()
    def _small_features(self, maps: PixelMaps) -> list[Tensor]:
        """Mask features (B, D, n) at every scale of the memory.

        Masks are linear in them, so that the small ones are those of the
        small features: one resizing a scale in place of one a layer, and at
        inference no mask at full size but what is asked for.
        """
        return [
            F.interpolate(
                maps.mask_features, size=memory.shape[-2:], mode='bilinear',
                align_corners=False).flatten(2) for memory in maps.memories
        ]

    @torch.no_grad()
    def _blocked(self, mask_embeds: Tensor, features: Tensor) -> Tensor:
        """Where queries may not look: outside of their masks.

        A query whose mask is empty looks everywhere.

        Args:
            mask_embeds (Tensor): Shape (B, Q, D).
            features (Tensor): Shape (B, D, n).

        Returns:
            Tensor: Shape (B * heads, Q, n) bool.
        """
        blocked = mask_embeds @ features < 0
        blocked &= ~blocked.all(-1, keepdim=True)
        return blocked[:, None].expand(
            -1, self.num_heads, -1, -1).flatten(0, 1)
