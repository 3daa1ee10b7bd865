"""DVIS-DAQ, offline: the tracked rows of a video are refined.

Zhou et al., Improving Video Segmentation via Dynamic Anchor Queries, ECCV
2024.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ...results.pixels import FrameMeta
from ..segmenters.mask2former import FrameQueries
from ..trackers import HungarianAssociation
from .arguments import check_counts
from .dvis_daq import DVISDAQ, best_score
from .offline import OfflineVIS, VideoRows
from .session import VideoMeta

#: Mask logits of an instance before it begins and after it has ended.
NOWHERE = -1e4


class OnlineTracks(NamedTuple):
    """I instances of T frames; zeros where one is not followed.

    Attributes:
        rows: (T, I, C).
        logits: (T, I, K + 1).
        mask_embeds: (T, I, D).
        anchors: (T, I, C), of their masks so far.
        alive: (T, I, 1), 1 where each is followed.
    """
    rows: Tensor
    logits: Tensor
    mask_embeds: Tensor
    anchors: Tensor
    alive: Tensor

    def mean_logits(self) -> Tensor:
        """Class logits (I, K + 1), mean over the frames of each."""
        return self.logits.sum(0) / self.alive.sum(0)

    def best(self, most: int, min_frames: int) -> Tensor:
        """Instances (n,) int64 with the best class of their mean logits, best
        first, n <= ``most``; without those that ended in fewer than
        ``min_frames`` frames."""
        alive = self.alive[..., 0] > 0
        kept = ((alive.sum(0) >= min_frames) | alive[-1]).nonzero()[:, 0]
        scores = best_score(self.mean_logits()[kept])
        return kept[scores.topk(min(most, len(kept))).indices]


@MODELS.register_module()
class DVISDAQOffline(OfflineVIS):
    """DVIS-DAQ with a :class:`TemporalRefiner` behind it.

    The refiner reads as many rows as a frame has queries: the best instances
    of the tracker, and for the rest the queries themselves, linked from frame
    to frame.

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`, frozen.
        tracker (dict): :class:`AnchorTracker`.
        start_thr, score_thr, slot_thr, max_gap: See :class:`DVISDAQ`.
        num_tracks (int): Instances of the tracker at most; the linked
            queries have the others' rows. Defaults to 40.
        min_frames (int): Instances that ended after fewer frames are left
            out. Defaults to 5.
        kwargs: See :class:`OfflineVIS`.
    """
    online: DVISDAQ

    def __init__(self,
                 *,
                 segmenter: dict,
                 tracker: dict,
                 start_thr: float = 0.01,
                 score_thr: float = 0.01,
                 slot_thr: float | None = None,
                 max_gap: int = 8,
                 num_tracks: int = 40,
                 min_frames: int = 5,
                 **kwargs: Any) -> None:
        check_counts(num_tracks=num_tracks)
        online = DVISDAQ(
            segmenter=segmenter, tracker=tracker, start_thr=start_thr,
            score_thr=score_thr, slot_thr=slot_thr, max_gap=max_gap)
        super().__init__(online=online, **kwargs)
        self.num_tracks = num_tracks
        self.min_frames = min_frames

    def track(self, frames: Sequence[FrameQueries]) -> VideoRows:
        """See :meth:`OfflineVIS.track`."""
        state, tracker = self.online.begin(VideoMeta()), self.online.tracker
        seen = []
        height, width = frames[0].mask_features.shape[2:]
        meta = FrameMeta(img_shape=(4 * height, 4 * width))
        for frame in frames:
            self.online.advance(state, frame, meta)
            assert state.tracks is not None and state.count is not None
            rows, count = state.tracks.queries[0], state.count
            parts = (rows, *tracker.predict(rows), tracker.memory.read(
                state.tracks.anchors)[0], torch.ones_like(rows[:, :1]))
            seen.append((state.ids, torch.cat(parts, 1)))
        table = torch.zeros(
            len(seen), int(count), seen[0][1].shape[1],
            device=rows.device)
        for every, (ids, values) in zip(table, seen, strict=True):
            every[ids] = values.to(table)
        tracks = OnlineTracks(*table.split([x.shape[1] for x in parts], 2))
        queries, logits, embeds = (
            torch.cat([getattr(frame, name)[-1] for frame in frames])
            for name in ('queries', 'logits', 'mask_embeds'))
        chosen = tracks.best(
            min(self.num_tracks, queries.shape[1]), self.min_frames)
        return collect(tracks, chosen, queries, logits, embeds)

    def online_features(self, mask_features: Tensor) -> Tensor:
        """See :meth:`OfflineVIS.online_features`: of the tracker, of the
        segmenter, and a constant."""
        return torch.cat((
            self.online.tracker.mask_proj(mask_features), mask_features,
            torch.ones_like(mask_features[:, :1])), 1)


def link(queries: Tensor) -> Tensor:
    """Which query (T, N) int64 of each frame continues each of the first, as
    in MinVIS; of queries (T, N, C)."""
    associate = HungarianAssociation()
    order = [torch.arange(queries.shape[1], device=queries.device)]
    for before, now in zip(queries[:-1], queries[1:], strict=True):
        order.append(associate(before[order[-1]][None], now[None])[0])
    return torch.stack(order)


def collect(tracks: OnlineTracks, chosen: Tensor, queries: Tensor,
            logits: Tensor, mask_embeds: Tensor) -> VideoRows:
    """What the refiner reads of a video.

    Where an instance is not followed, it has the anchor of its last frame.

    Args:
        tracks (OnlineTracks): Of the tracker.
        chosen (Tensor): Shape (n,) int64, instances that have rows.
        queries (Tensor): Shape (T, N, C), of the segmenter.
        logits (Tensor): Shape (T, N, K + 1), of these.
        mask_embeds (Tensor): Shape (T, N, D), of these.

    Returns:
        VideoRows: The n instances, then linked queries, best first.
    """
    alive = tracks.alive[:, chosen]
    last = len(alive) - 1 - alive[..., 0].flip(0).argmax(0)
    rows = tracks.rows[:, chosen].where(
        alive > 0, tracks.anchors[last, chosen])
    order = link(queries)[..., None]
    means = logits.gather(1, order.expand_as(logits)).mean(0)
    best = best_score(means).topk(len(means) - len(chosen)).indices
    queries_of, embeds = (
        x.gather(1, order[:, best].expand(-1, -1, x.shape[2]))
        for x in (queries, mask_embeds))
    own = tracks.mask_embeds[:, chosen]
    # Beside the tracker's features stand those of the segmenter and a one.
    own = torch.cat(
        (F.pad(own, (0, embeds.shape[2])), (1 - alive) * NOWHERE), 2)
    embeds = F.pad(embeds, (tracks.mask_embeds.shape[2], 1))
    return VideoRows(
        torch.cat((rows, queries_of), 1), queries,
        torch.cat((tracks.mean_logits()[chosen], means[best])),
        torch.cat((own, embeds), 1))
