"""Decoder of Mask2Former on single frames: queries that read within masks.

Cheng et al., Masked-attention Mask Transformer for Universal Image
Segmentation, CVPR 2022.
"""
import torch
import torch.nn.functional as F
from mmdet.models.layers import (
    Mask2FormerTransformerDecoderLayer,
    SinePositionalEncoding,
)
from mmdet.models.layers.transformer.utils import MLP
from mmdet.registry import MODELS
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from .pixel_decoder import PixelMaps
from .queries import FrameQueries


@MODELS.register_module()
class Mask2FormerDecoder(BaseModule):
    """Masked cross-attention, self-attention, FFN; the scales take turns.

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
        attention = dict(
            embed_dims=embed_dims, num_heads=num_heads, batch_first=True)
        self.layers = ModuleList([
            Mask2FormerTransformerDecoderLayer(
                self_attn_cfg=dict(attention),
                cross_attn_cfg=dict(attention),
                ffn_cfg=dict(
                    embed_dims=embed_dims,
                    feedforward_channels=feedforward_channels))
            for _ in range(num_layers)
        ])
        self.norm = nn.LayerNorm(embed_dims)
        self.query_feat = nn.Embedding(num_queries, embed_dims)
        self.query_embed = nn.Embedding(num_queries, embed_dims)
        self.level_embed = nn.Embedding(num_levels, embed_dims)
        self.position = SinePositionalEncoding(
            num_feats=embed_dims // 2, normalize=True)
        self.cls_embed = nn.Linear(embed_dims, num_classes + 1)
        self.mask_embed = MLP(embed_dims, embed_dims, mask_dims, 3)

    def init_weights(self) -> None:
        """Xavier-uniform for the matrices of the layers, as released."""
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, maps: PixelMaps, all_layers: bool) -> FrameQueries:
        """Queries of B frames.

        Args:
            maps (PixelMaps): Of the frames.
            all_layers (bool): Keep all layers, not the last alone.
        """
        hiddens, queries, embeds = self._decode(
            self._keys(maps.memories), self._positions(maps.memories),
            self._small_features(maps), all_layers)
        return FrameQueries(
            hidden=hiddens,
            queries=queries,
            logits=self.cls_embed(queries),
            mask_embeds=embeds,
            embeds=None,
            mask_features=maps.mask_features)

    def _decode(self, keys: list[Tensor], positions: list[Tensor],
                small: list[Tensor],
                all_layers: bool) -> tuple[Tensor, Tensor, Tensor]:
        """The layers over B sets of keys.

        Args:
            keys (list[Tensor]): Shape (B, n, C) of every scale.
            positions (list[Tensor]): Shape (1, n, C) of every scale.
            small (list[Tensor]): Mask features (B, D, n) at every scale.
            all_layers (bool): See :meth:`forward`.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Queries (L, B, Q, C), the same
            after the norm, and weights of the mask features (L, B, Q, D).
        """
        batch = len(keys[0])
        pos = self.query_embed.weight.expand(batch, -1, -1)
        hidden = self.query_feat.weight.expand(batch, -1, -1)
        normed = self.norm(hidden)
        mask_embeds = self.mask_embed(normed)
        states = [(hidden, normed, mask_embeds)]
        for number, layer in enumerate(self.layers):
            level = number % len(keys)
            hidden = layer(
                query=hidden,
                key=keys[level],
                value=keys[level],
                query_pos=pos,
                key_pos=positions[level],
                cross_attn_mask=self._blocked(mask_embeds, small[level]))
            normed = self.norm(hidden)
            mask_embeds = self.mask_embed(normed)
            states.append((hidden, normed, mask_embeds))
        kept = states if all_layers else states[-1:]
        hiddens, queries, embeds = map(torch.stack, zip(*kept, strict=True))
        return hiddens, queries, embeds

    def _keys(self, memories: tuple[Tensor, ...]) -> list[Tensor]:
        """Keys (B, n, C) of every scale."""
        return [
            memory.flatten(2).transpose(1, 2) + embed for memory, embed in zip(
                memories, self.level_embed.weight, strict=True)
        ]

    def _positions(self, memories: tuple[Tensor, ...]) -> list[Tensor]:
        """Positions (1, n, C) of the keys of every scale."""
        return [
            self.position(
                memory.new_zeros((1, *memory.shape[-2:]), dtype=torch.bool)
            ).flatten(2).transpose(1, 2).to(memory.dtype)
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
