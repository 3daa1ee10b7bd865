"""Decoder of Mask2Former on clips: a query reads all frames at once.

Cheng et al., Mask2Former for Video Instance Segmentation, arXiv 2112.10764.
"""
from mmdet.models.layers import SinePositionalEncoding3D
from mmdet.registry import MODELS
from torch import Tensor

from .decoder import Mask2FormerDecoder
from .pixel_decoder import PixelMaps
from .queries import ClipQueries


@MODELS.register_module()
class Mask2FormerVideoDecoder(Mask2FormerDecoder):
    """One query an object and clip, with one mask weight for all frames.

    The keys are the pixels of all frames of the clip, with their time in
    their positions; a query looks everywhere only where its mask is empty in
    all of them. The tensors are those of :class:`Mask2FormerDecoder`.

    Args:
        kwargs: See :class:`Mask2FormerDecoder`.
    """

    def __init__(self, **kwargs) -> None:
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
        positions = [
            self.position(memory.new_zeros(
                (1, num_frames, *memory.shape[-2:]))
            ).transpose(1, 2).flatten(2).transpose(1, 2).to(memory.dtype)
            for memory in maps.memories
        ]
        _, queries, embeds = self._decode(
            [key.unflatten(0, (-1, num_frames)).flatten(1, 2)
             for key in self._keys(maps.memories)],
            positions,
            [small.unflatten(0, (-1, num_frames)).transpose(1, 2).flatten(2)
             for small in self._small_features(maps)], all_layers)
        return ClipQueries(
            queries, self.cls_embed(queries),
            embeds[:, :, None].expand(-1, -1, num_frames, -1, -1),
            maps.mask_features.unflatten(0, (-1, num_frames)))

    @staticmethod
    def class_scores(logits: Tensor) -> Tensor:
        """Probabilities (..., K) of logits (..., K + 1)."""
        return logits.softmax(-1)[..., :-1]
