"""Mask2Former-VIS: Mask2Former for Video Instance Segmentation.

Cheng et al., arXiv 2112.10764.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.pixels import FrameMeta
from ..matching import Queries
from ..segmenters.mask2former import ClipQueries, PixelMaps
from ..truth.clip_truth import collect_clips
from .arguments import check_counts
from .clip import ClipOptions, ClipVIS


@MODELS.register_module()
class Mask2FormerVIS(ClipVIS[tuple[PixelMaps, ...]]):
    """Mask2Former whose queries read all frames of a clip.

    Args:
        segmenter (dict): A :class:`Mask2FormerSegmenter` with a
            :class:`Mask2FormerVideoDecoder`.
        matcher (dict, optional): A :class:`OneToOneMatcher`; only training
            needs it.
        loss (dict, optional): Defaults to :class:`SampledMaskLoss`.
        top_k (int): Queries of a clip that become instances, those of the
            best classes; a whole video needs no more than its ranking keeps
            pairs. More are slower. Defaults to 10.
        score_thr (float): Queries below it become none; in [0, 1]. A higher
            one leaves fewer tracks to windows. Defaults to 0.
        kwargs: See :class:`ClipVIS`.
    """
    default_ranking = dict(type='LatestClass', score_thr=0., num_pairs=10)
    mask_way = 'bilinear'

    def __init__(self,
                 *,
                 segmenter: dict,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 top_k: int = 10,
                 score_thr: float = 0.,
                 **kwargs: Unpack[ClipOptions]) -> None:
        super().__init__(**kwargs)
        check_counts(top_k=top_k)
        self.segmenter = MODELS.build(segmenter)
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.clip_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))
        self.top_k = top_k
        self.score_thr = score_thr

    # -- training -----------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of a batch of clips, every frame of which counts.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W).
            data_samples (list[TrackDataSample]): Annotated frames.

        Returns:
            dict[str, Tensor]: See :meth:`SampledMaskLoss.forward`.
        """
        if self.matcher is None:
            raise ValueError(
                'Training needs a matcher: set matcher in the config.')
        # Before the network: what it reads back would wait for that.
        truth = collect_clips(data_samples, inputs.device, mask_stride=1)
        found = self.segment(inputs)
        matches = self.matcher.match(
            Queries(found.logits, mask_embeds=found.mask_embeds,
                    mask_features=found.mask_features), truth)
        return self.clip_loss(found.logits, found.mask_embeds,
                              found.mask_features, matches, truth)

    def segment(self, clips: Tensor) -> ClipQueries:
        """Queries of clips (N, T, 3, H, W): of all layers in training."""
        return self.segmenter.decoder(
            self.segmenter.encode(clips.flatten(0, 1)), clips.shape[1],
            all_layers=self.training)

    # -- inference ----------------------------------------------------------
    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[tuple[PixelMaps, ...]]:
        """See :meth:`VIS.encode`; one item a resolution, of which there is
        one here."""
        return [(maps, ) for maps in self.frame_maps(frames)]

    def frame_maps(self, frames: Tensor) -> list[PixelMaps]:
        """Maps of each of T frames (T, 3, H, W)."""
        memories, features = self.segmenter.encode(frames)
        return [
            PixelMaps(tuple(m[t:t + 1] for m in memories), features[t:t + 1])
            for t in range(len(frames))
        ]

    def decode(self, encoded: list[tuple[PixelMaps, ...]],
               metas: list[FrameMeta]) -> InstanceData:
        """See :meth:`ClipVIS.decode`; the best first."""
        found, scores = self.clip_queries([maps for maps, in encoded])
        rows = self.candidates(scores)
        return InstanceData(class_scores=scores[rows],
                            mask_logits=found.masks(rows)[0])

    def clip_queries(self, frames: Sequence[PixelMaps]
                     ) -> tuple[ClipQueries, Tensor]:
        """Queries of a clip of frames, and their class scores (Q, K)."""
        memories, features = zip(*frames, strict=True)
        decoder = self.segmenter.decoder
        found = decoder(
            PixelMaps(tuple(map(torch.cat, zip(*memories, strict=True))),
                      torch.cat(features)), len(frames), all_layers=False)
        return found, decoder.class_scores(found.logits[-1, 0].float())

    def candidates(self, scores: Tensor) -> Tensor:
        """Which of Q queries with class scores (Q, K) become instances."""
        best, rows = scores.max(1).values.topk(min(self.top_k, len(scores)))
        return rows[best >= self.score_thr]

    def bytes_per_frame(self, input_hw: tuple[int, int]) -> int:
        """See :meth:`ClipVIS.bytes_per_frame`: memory and mask features in
        single precision. Decoding takes several times as much on top;
        docs/long_videos.md has figures."""
        decoder = self.segmenter.decoder
        areas = [math.prod(-(-side // 2**level) for side in input_hw)
                 for level in range(2, 3 + len(decoder.level_embed.weight))]
        return 4 * (decoder.mask_embed.layers[-1].out_features * areas[0] +
                    decoder.embed_dims * sum(areas[1:]))

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, Q, K + 1) and mask logits (N, Q, T, h, w)."""
        found = self.segment(inputs)
        return found.logits[-1], found.masks()
