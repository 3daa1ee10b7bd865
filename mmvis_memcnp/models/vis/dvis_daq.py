"""DVIS-DAQ: Improving Video Segmentation via Dynamic Anchor Queries.

Zhou et al., ECCV 2024. The online system, without the offline refiner.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ..segmenters.mask2former import FrameQueries
from ..trackers import AnchorTracks
from .base import VIS, VISOptions
from .session import VideoMeta


@dataclass
class DVISDAQState:
    """What a video needs beside its frames.

    Attributes:
        tracks: the M instances that are followed, None before the first
            frame.
        ids: (M,) int64, their identities.
        missed: (M,) int64, frames in a row in which each was not found.
        count: () int64, identities so far.
    """
    tracks: AnchorTracks | None = None
    ids: Tensor | None = None
    missed: Tensor | None = None
    count: Tensor | None = None


@MODELS.register_module()
class DVISDAQ(VIS[DVISDAQState, FrameQueries]):
    """Instances followed by a tracker on the queries of a frozen Mask2Former.

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`, frozen.
        tracker (dict): :class:`AnchorTracker`.
        start_thr (float): Class scores of the first frame's queries above it
            begin an instance. A higher one follows fewer. Defaults to 0.01.
        score_thr (float): Class scores of rows above it begin an instance or
            find it again. A higher one follows fewer. Defaults to 0.01.
        slot_thr (float, optional): An instance is found only if the score of
            its slot is above it, too; a higher one ends more of them.
            Defaults to None, slots are not computed.
        max_missing (int): An instance that was not found in so many frames in
            a row has ended. Defaults to 8.
        kwargs: See :class:`VIS`.
    """
    default_ranking = dict(type='TopPairs', num_pairs=20)

    def __init__(self,
                 *,
                 segmenter: dict,
                 tracker: dict,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 start_thr: float = 0.01,
                 score_thr: float = 0.01,
                 slot_thr: float | None = None,
                 max_missing: int = 8,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        self.segmenter = MODELS.build(segmenter)
        self.tracker = MODELS.build(tracker)
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))
        self.start_thr = start_thr
        self.score_thr = score_thr
        self.slot_thr = slot_thr
        self.max_missing = max_missing

    @property
    def query_feat(self) -> Tensor:
        """(N, C), what the segmenter's queries are before the first layer."""
        return self.segmenter.decoder.query_feat.weight

    # -- inference ----------------------------------------------------------
    def begin(self, video_meta: VideoMeta) -> DVISDAQState:
        """See :meth:`VIS.begin`."""
        return DVISDAQState()

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[FrameQueries]:
        """See :meth:`VIS.encode`."""
        found = self.segmenter(frames)
        return [found.frames(slice(t, t + 1)) for t in range(len(frames))]

    def advance(self, state: DVISDAQState, item: FrameQueries,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: every frame is settled at once."""
        rows = self.tracker(
            state.tracks, item,
            None if self.slot_thr is None else self.query_feat)
        logits, embeds = self.tracker.predict(rows.hidden[-1])
        masks = torch.einsum('bqd,bdhw->bqhw', embeds,
                             self.tracker.mask_proj(item.mask_features))
        seen = best_score(logits) > self.score_thr
        missed = torch.zeros(logits.shape[1], dtype=torch.long,
                             device=logits.device)
        ids, count = missed[:0], missed.new_zeros(())
        if state.tracks is None:
            seen = best_score(item.logits[-1]) > self.start_thr
        else:
            assert (state.ids is not None and state.missed is not None
                    and state.count is not None)
            ids, count = state.ids, state.count
            if rows.slots is not None:
                there = best_score(self.tracker.predict(
                    rows.slots[-1, :, :len(ids)])[0]) > self.slot_thr
                seen[:, :len(ids)] &= there
            missed[:len(ids)] = (state.missed + 1) * ~seen[0, :len(ids)]
        keep = seen.clone()
        keep[:, :len(ids)] = missed[:len(ids)] < self.max_missing
        new = keep[0, len(ids):]
        anchors = self.tracker.anchors(masks, item.mask_features)
        state.tracks, source = self.tracker.carry(
            state.tracks, rows, anchors, keep, seen)
        kept = source[0]
        state.ids = torch.cat((ids, count + new.cumsum(0) - 1))[kept]
        state.missed, state.count = missed[kept], count + new.sum()
        return [FrameInstances(
            state.ids, MaskSource(masks[0, kept], meta, 'bilinear', stride=4),
            meta, logits=logits[0, kept].float())]

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N * T, Q, K + 1) and mask logits (N * T, Q, h, w) of
        frames as the first of their videos."""
        found = self.segmenter(inputs.flatten(0, 1))
        logits, embeds = self.tracker.predict(
            self.tracker(None, found).hidden[-1])
        return logits, torch.einsum(
            'bqd,bdhw->bqhw', embeds,
            self.tracker.mask_proj(found.mask_features))


def best_score(logits: Tensor) -> Tensor:
    """Probability (...) of the best class, of logits (..., K + 1)."""
    return logits.float().softmax(-1)[..., :-1].amax(-1)
