"""Instances followed by anchors: what DVIS-DAQ does at inference.

Zhou et al., Improving Video Segmentation via Dynamic Anchor Queries, ECCV
2024. dvis_daq.py trains it, dvis_daq_offline.py refines it.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Required, TypedDict, Unpack

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ...results.saved_values import saveable
from ..memcnp import ContextModule, merge_settings
from ..memcnp.hosts.keys import row_key
from ..memcnp.hosts.rows import RowBoxes, RowContext
from ..segmenters.deformable import sizes_wh
from ..segmenters.mask2former import FrameQueries
from ..trackers import AnchorRows, AnchorTracker, AnchorTracks
from .arguments import check_counts
from .base import VIS, VISOptions
from .session import VideoMeta


class FollowOptions(TypedDict, total=False):
    """How instances are followed; see :class:`AnchorVIS`."""
    segmenter: Required[dict]
    tracker: Required[dict]
    memcnp: dict | None
    start_thr: float
    score_thr: float
    slot_thr: float | None
    max_gap: int
    max_tracks: int


class AnchorOptions(VISOptions, FollowOptions, total=False):
    """Arguments of :class:`AnchorVIS`."""


@saveable
@dataclass
class AnchorState:
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


class AnchorVIS(VIS[AnchorState, FrameQueries]):
    """Follows the queries of a frozen Mask2Former by their anchors.

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`, frozen.
        tracker (dict): :class:`AnchorTracker`.
        memcnp (dict, optional): MemCNP on the rows of the tracker's last
            layer, with its rules of training; see ``row_key``. Defaults to
            None, the plain host.
        start_thr (float): Class scores of the first frame's queries above it
            begin an instance. A higher one follows fewer. Defaults to 0.01.
        score_thr (float): Class scores of rows above it begin an instance or
            find it again. A higher one follows fewer. Defaults to 0.01.
        slot_thr (float, optional): An instance is found only if the score of
            its slot is above it, too; a higher one ends more of them.
            Defaults to None, slots are not computed.
        max_gap (int): An instance that was not found in so many frames in
            a row has ended, at least 1. Defaults to 8.
        max_tracks (int): Rows that are followed at most, so that a video
            cannot fill the memory where every query is found in every frame,
            as with weights that have learnt little; then new rows with the
            lowest class scores are left out. More cost time and memory.
            Defaults to 300; the released code has no limit.
        kwargs: See :class:`VIS`.
    """
    default_ranking = dict(type='TopPairs', num_pairs=20)

    def __init__(self,
                 *,
                 segmenter: dict,
                 tracker: dict,
                 memcnp: dict | None = None,
                 start_thr: float = 0.01,
                 score_thr: float = 0.01,
                 slot_thr: float | None = None,
                 max_gap: int = 8,
                 max_tracks: int = 300,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        check_counts(max_gap=max_gap, max_tracks=max_tracks)
        self.segmenter = MODELS.build(segmenter)
        key = row_key(memcnp) if memcnp else None
        self.tracker: AnchorTracker = MODELS.build(
            merge_settings(tracker, key.tracker) if key else tracker)
        if key:
            dims = self.segmenter.decoder.embed_dims
            self.tracker.memcnp = RowContext(
                key.build(feat_dims=dims), dims)
        self.start_thr = start_thr
        self.score_thr = score_thr
        self.slot_thr = slot_thr
        self.max_gap = max_gap
        self.max_tracks = max_tracks

    def rows(self,
             tracks: AnchorTracks | None,
             frame: FrameQueries,
             with_slots: bool,
             hidden: Tensor | None = None) -> AnchorRows:
        """Rows of the next frame of B videos.

        Args:
            tracks (AnchorTracks, optional): None in the first frame.
            frame (FrameQueries): Of the B frames.
            with_slots (bool): From the second frame on.
            hidden (Tensor, optional): See :class:`AnchorTracker`.
        """
        positions = None if tracks is None else self.tracker.anchors(
            frame.masks(), frame.mask_features)
        learned = self.segmenter.decoder.query_feat.weight
        return self.tracker(tracks, frame.queries[-1], positions,
                            learned if with_slots else None, hidden)

    @property
    def memcnp(self) -> ContextModule | None:
        """The memory, which is a part of the tracker; None in a plain
        host."""
        own = self.tracker.memcnp
        return None if own is None else own.memory

    def row_outputs(self, hidden: Tensor, frame: FrameQueries, padded: Tensor,
                    sizes: Tensor | None
                    ) -> tuple[Tensor, Tensor, Tensor, RowBoxes | None]:
        """What rows say; of their last layer masks and, with MemCNP, boxes.

        Args:
            hidden (Tensor): Shape (L, B, R, C).
            frame (FrameQueries): Of the B frames.
            padded (Tensor): Shape (B, R) bool, rows that are none.
            sizes (Tensor, optional): Shape (B, 2), width and height without
                padding, in pixels; for MemCNP alone.

        Returns:
            tuple[Tensor, Tensor, Tensor, RowBoxes | None]: Class logits
            (L, B, R, K + 1), weights of the mask features (L, B, R, D), mask
            logits (B, R, h, w) without gradient, and boxes.
        """
        logits, embeds = self.tracker.predict(hidden)
        with torch.no_grad():
            masks = torch.einsum('bqd,bdhw->bqhw', embeds[-1],
                                 self.tracker.mask_proj(frame.mask_features))
        own = self.tracker.memcnp
        if own is None:
            return logits, embeds, masks, None
        if sizes is None:
            raise ValueError('MemCNP needs the sizes of the frames.')
        context, boxes = own(self.tracker.norm(hidden[-1]), masks, sizes,
                             padded)
        last = logits[-1:] + self.tracker.class_change(context)
        return torch.cat((logits[:-1], last)), embeds, masks, boxes

    def begin(self, video_meta: VideoMeta) -> AnchorState:
        """See :meth:`VIS.begin`."""
        return AnchorState()

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[FrameQueries]:
        """See :meth:`VIS.encode`."""
        return self.segmenter(frames).split()

    def advance(self, state: AnchorState, item: FrameQueries,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: every frame is settled at once."""
        rows = self.rows(state.tracks, item, self.slot_thr is not None)
        logits, _, masks, boxes = self.row_outputs(
            rows.hidden[-1:], item, rows.padded,
            sizes_wh([meta], item.mask_features.device))
        logits = logits[-1]
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
            if self.slot_thr is not None:
                assert rows.slots is not None
                there = best_score(self.tracker.predict(
                    rows.slots[-1, :, :len(ids)])[0]) > self.slot_thr
                seen[:, :len(ids)] &= there
            missed[:len(ids)] = (state.missed + 1) * ~seen[0, :len(ids)]
        keep = seen.clone()
        keep[:, :len(ids)] = missed[:len(ids)] < self.max_gap
        if keep.shape[1] > self.max_tracks:
            # Those that are followed first, then new ones by their scores.
            rank = best_score(logits) * keep
            rank[:, :len(ids)] += keep[:, :len(ids)]
            keep &= torch.zeros_like(keep).scatter(
                1, rank.topk(self.max_tracks).indices, True)
        new = keep[0, len(ids):]
        anchors = self.tracker.anchors(masks, item.mask_features)
        state.tracks, source = self.tracker.carry(
            state.tracks, rows, anchors, keep, seen)
        kept = source[0]
        state.ids = torch.cat((ids, count + new.cumsum(0) - 1))[kept]
        state.missed, state.count = missed[kept], count + new.sum()
        found = FrameInstances(
            state.ids, MaskSource(masks[0, kept], meta, 'bilinear', stride=4),
            meta, logits=logits[0, kept].float())
        if boxes is None or self.tracker.memcnp is None:
            return [found]
        return [self.tracker.memcnp.put_boxes(found, boxes, kept)]

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N * T, Q, K + 1) and mask logits (N * T, Q, h, w) of
        frames as the first of their videos."""
        frames = inputs.flatten(0, 1)
        found = self.segmenter(frames)
        rows = self.rows(None, found, False)
        sizes = frames.new_tensor([frames.shape[:1:-1]] * len(frames))
        logits, _, masks, _ = self.row_outputs(
            rows.hidden[-1:], found, rows.padded, sizes)
        return logits[-1], masks


def best_score(logits: Tensor) -> Tensor:
    """Probability (...) of the best class, of logits (..., K + 1)."""
    return logits.float().softmax(-1)[..., :-1].amax(-1)
