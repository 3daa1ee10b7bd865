"""Mask2Former as the frame network of a video system."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmdet.registry import MODELS
from mmengine.model import BaseModule, caffe2_xavier_init
from torch import Tensor

from .pixel_decoder import PixelMaps
from .queries import ClipQueries, FrameQueries


@MODELS.register_module()
class Mask2FormerSegmenter(BaseModule):
    """Frames to queries with classes, masks and, if wanted, embeddings.

    Keeps nothing of a video. Its tensors have the same names wherever it is
    a system's ``segmenter``, so that one stage of training can start the
    next.

    Args:
        backbone (dict): Four maps, strides 4 to 32.
        pixel_decoder (dict): See :class:`Mask2FormerPixelDecoder`.
        decoder (dict): See :class:`Mask2FormerDecoder`.
        embed_dims (int, optional): E, of the vectors that tell instances
            apart (CTVIS). Defaults to None, no such head.
        frozen (bool): The weights stay as they are: always in eval mode,
            without gradients. Defaults to False.
        chunk (int): Frames at a time when frozen; more are faster and take
            more memory. Defaults to 8.
        init_cfg (dict, optional): Initial weights.
    """

    def __init__(self,
                 backbone: dict,
                 pixel_decoder: dict,
                 decoder: dict,
                 embed_dims: int | None = None,
                 frozen: bool = False,
                 chunk: int = 8,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.pixel_decoder = MODELS.build(pixel_decoder)
        self.decoder = MODELS.build(decoder)
        self.embed_head: MLP | None = None
        if embed_dims is not None:
            dims = self.decoder.embed_dims
            self.embed_head = MLP(dims, dims, embed_dims, 3)
        self.frozen = frozen
        self.chunk = chunk
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def init_weights(self) -> None:
        """As released."""
        super().init_weights()
        if self.embed_head is not None:
            for layer in self.embed_head.layers:
                caffe2_xavier_init(layer)

    def train(self, mode: bool = True) -> Mask2FormerSegmenter:
        """Training mode, unless frozen."""
        return super().train(mode and not self.frozen)

    def encode(self, frames: Tensor) -> PixelMaps:
        """What a decoder reads of frames (B, 3, H, W)."""
        return self.pixel_decoder(self.backbone(frames))

    def forward(self, frames: Tensor) -> FrameQueries:
        """Queries of frames that know nothing of each other.

        Args:
            frames (Tensor): Shape (B, 3, H, W), normalised; any size.

        Returns:
            FrameQueries: Of all layers in training mode, else of the last.
        """
        if not self.frozen:
            return self._segment(frames)
        with torch.no_grad():
            return FrameQueries.join(
                [self._segment(part) for part in frames.split(self.chunk)])

    def decode_clip(self, frames: Sequence[PixelMaps]
                    ) -> tuple[ClipQueries, Tensor]:
        """Queries of a clip of encoded frames, those of the last layer, and
        their class scores (Q, K); with a decoder of clips."""
        found = self.decoder(
            PixelMaps.join(frames), len(frames), all_layers=False)
        return found, self.decoder.class_scores(found.logits[-1, 0].float())

    def layers(self, frames: Tensor) -> list[FrameQueries]:
        """Predictions of frames (B, 3, H, W) for training, by the mask
        features that they share: here one, of all layers."""
        return [self(frames)]

    def _segment(self, frames: Tensor) -> FrameQueries:
        found = self.decoder(self.encode(frames), all_layers=self.training)
        if self.embed_head is None:
            return found
        return found._replace(embeds=self.embed_head(found.queries))
