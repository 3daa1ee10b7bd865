"""Decoders of Mask2Former, on single frames and on clips.

Cheng et al., Masked-attention Mask Transformer for Universal Image
Segmentation, CVPR 2022; Mask2Former for Video Instance Segmentation, arXiv
2112.10764.
"""
from typing import Any

from mmdet.models.layers import SinePositionalEncoding3D
from mmdet.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor

from .masked_decoder import MaskedDecoder
from .pixel_decoder import PixelMaps
from .queries import ClipQueries, FrameQueries


class _PixelReader(MaskedDecoder):
    """Masked cross-attention, self-attention, FFN; the scales take turns."""

    layers: ModuleList

    def _read(self, keys: list[Tensor], positions: list[Tensor],
              small: list[Tensor],
              all_layers: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of B sets of keys; see :meth:`_decode`.

        Args:
            keys (list[Tensor]): Shape (B, n, C) of every scale.
            positions (list[Tensor]): Shape (1, n, C) of every scale.
            small (list[Tensor]): Mask features (B, D, n) at every scale.
            all_layers (bool): Keep all layers, not the last alone.
        """
        pos, hidden = (x.weight.expand(len(keys[0]), -1, -1)
                       for x in (self.query_embed, self.query_feat))

        def step(number: int, hidden: Tensor,
                 mask_embeds: Tensor) -> tuple[Tensor, Tensor]:
            level = number % len(keys)
            hidden = self.layers[number](
                query=hidden,
                key=keys[level],
                value=keys[level],
                query_pos=pos,
                key_pos=positions[level],
                cross_attn_mask=self._blocked(mask_embeds, small[level]))
            return hidden, hidden

        return self._decode(hidden, hidden, step, all_layers)


@MODELS.register_module()
class Mask2FormerDecoder(_PixelReader):
    """Mask2Former on single frames.

    Args:
        kwargs: See :class:`MaskedDecoder`.
    """

    def forward(self, maps: PixelMaps, all_layers: bool) -> FrameQueries:
        """Queries of B frames.

        Args:
            maps (PixelMaps): Of the frames.
            all_layers (bool): Keep all layers, not the last alone.
        """
        hiddens, queries, embeds = self._read(
            self._keys(maps.memories), self._positions(maps.memories),
            self._small_features(maps), all_layers)
        return FrameQueries(
            hidden=hiddens,
            queries=queries,
            logits=self.cls_embed(queries),
            mask_embeds=embeds,
            embeds=None,
            mask_features=maps.mask_features)


@MODELS.register_module()
class Mask2FormerVideoDecoder(_PixelReader):
    """Mask2Former on clips: one query an object, one mask weight of it.

    The keys are the pixels of all frames of the clip, with their time in
    their positions; a query looks everywhere only where its mask is empty in
    all of them. The tensors are those of :class:`Mask2FormerDecoder`.

    Args:
        kwargs: See :class:`MaskedDecoder`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.position = SinePositionalEncoding3D(
            num_feats=self.embed_dims // 2, normalize=True)

    def forward(self, maps: PixelMaps, num_frames: int,
                all_layers: bool) -> ClipQueries:
        """Queries of B clips.

        Args:
            maps (PixelMaps): Of B * T frames, clip by clip.
            num_frames (int): T.
            all_layers (bool): Keep all layers, not the last alone.
        """
        clips = (-1, num_frames)
        _, queries, embeds = self._read(
            [key.unflatten(0, clips).flatten(1, 2)
             for key in self._keys(maps.memories)],
            self._positions(maps.memories, num_frames),
            [small.unflatten(0, clips).transpose(1, 2).flatten(2)
             for small in self._small_features(maps)], all_layers)
        return ClipQueries(
            self.cls_embed(queries),
            embeds[:, :, None].expand(-1, -1, num_frames, -1, -1),
            maps.mask_features.unflatten(0, clips))
