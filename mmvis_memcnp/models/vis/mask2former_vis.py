"""Mask2Former-VIS: Mask2Former for Video Instance Segmentation.

Cheng et al., arXiv 2112.10764.
"""
from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Unpack

from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...results.pixels import FrameMeta
from ..matching import Queries
from ..segmenters.mask2former import ClipQueries
from ..truth.clip_truth import collect_clips
from .arguments import check_counts, needed
from .clip import ClipOptions, ClipVIS
from .session import Item


@MODELS.register_module()
class Mask2FormerVIS(ClipVIS[Item]):
    """Mask2Former whose queries read all frames of a clip.

    Args:
        segmenter (dict | nn.Module): A :class:`Mask2FormerSegmenter` with a
            :class:`Mask2FormerVideoDecoder`.
        top_k (int, optional): Queries of a clip that become instances, those
            of the best classes. More are slower, and give windows more to
            match. Defaults to the pairs that the ranking keeps: no track of a
            whole video comes from further queries.
        score_thr (float): Queries below it become none; in [0, 1]. A higher
            one leaves fewer tracks to windows. Defaults to 0.
        kwargs: See :class:`ClipVIS`.
    """
    default_ranking = dict(type='LatestClass', score_thr=0., num_pairs=10)
    default_loss = dict(type='SampledMaskLoss')
    mask_way = 'bilinear'

    def __init__(self,
                 *,
                 segmenter: dict | nn.Module,
                 top_k: int | None = None,
                 score_thr: float = 0.,
                 **kwargs: Unpack[ClipOptions]) -> None:
        super().__init__(**kwargs)
        if top_k is None:
            top_k = self.ranking.get('num_pairs') or sys.maxsize
        check_counts(top_k=top_k)
        self.segmenter: Any = segmenter if isinstance(
            segmenter, nn.Module) else MODELS.build(segmenter)
        self.top_k = top_k
        self.score_thr = score_thr

    # -- training -----------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """See :meth:`VIS.loss` and :meth:`SampledMaskLoss.forward`; every
        frame counts."""
        matcher = needed(self.matcher, 'matcher')
        # Before the network: what it reads back would wait for that.
        truth = collect_clips(data_samples, inputs.device, mask_stride=1)
        found = self.segment(inputs)
        seen = found.matched_as or found
        matches = matcher.match(
            Queries(seen.logits, mask_embeds=seen.mask_embeds,
                    mask_features=seen.mask_features), truth)
        if found.matched_as:
            matches = matches.map(
                lambda x: x.expand(len(found.logits), *x.shape[1:]))
        return self.clip_loss(found.logits, found.mask_embeds,
                              found.mask_features, matches, truth)

    def segment(self, clips: Tensor) -> ClipQueries:
        """Queries of clips (N, T, 3, H, W): of all layers in training."""
        return self.segmenter.decoder(
            self.segmenter.encode(clips.flatten(0, 1)), clips.shape[1],
            all_layers=self.training)

    # -- inference ----------------------------------------------------------
    def encode(self, frames: Tensor,
               metas: Sequence[FrameMeta]) -> Sequence[Item]:
        """See :meth:`VIS.encode`; maps of each frame."""
        return self.segmenter.encode(frames).split()

    def decode(self, encoded: list[Item],
               metas: list[FrameMeta]) -> InstanceData:
        """See :meth:`ClipVIS.decode`; the best first."""
        found, scores = self.segmenter.decode_clip(encoded)
        rows = self.candidates(scores)
        return InstanceData(class_scores=scores[rows],
                            mask_logits=found.masks(rows)[0])

    def candidates(self, scores: Tensor) -> Tensor:
        """Which of Q queries with class scores (Q, K) become instances."""
        best, rows = scores.max(1).values.topk(min(self.top_k, len(scores)))
        return rows[best >= self.score_thr]

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, Q, K + 1) and mask logits (N, Q, T, h, w)."""
        found = self.segment(inputs)
        return found.logits[-1], found.masks()
