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
from .anchor_online import AnchorVIS, FollowOptions, best_score
from .arguments import check_counts
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


@MODELS.register_module()
class DVISDAQOffline(OfflineVIS):
    """DVIS-DAQ with a :class:`TemporalRefiner` behind it.

    The refiner reads as many rows as a frame has queries: the best instances
    of the tracker, and for the rest the queries themselves, linked from frame
    to frame.

    Args:
        num_tracks (int): Instances of the tracker at most; the linked
            queries have the others' rows. Defaults to 40.
        min_frames (int): Instances that ended after fewer frames are left
            out. Defaults to 5.
        kwargs: See :class:`AnchorVIS`, of the online system, and
            :class:`OfflineVIS`.
    """
    online: AnchorVIS

    def __init__(self,
                 *,
                 num_tracks: int = 40,
                 min_frames: int = 5,
                 **kwargs: Any) -> None:
        check_counts(num_tracks=num_tracks)
        following = {name: kwargs.pop(name) for name in
                     FollowOptions.__annotations__ if name in kwargs}
        super().__init__(online=AnchorVIS(**following), **kwargs)
        self.num_tracks = num_tracks
        self.min_frames = min_frames

    def track(self, frames: Sequence[FrameQueries]) -> VideoRows:
        """See :meth:`OfflineVIS.track`."""
        state, tracker = self.online.begin(VideoMeta()), self.online.tracker
        seen: list[tuple[Tensor, Tensor]] = []
        height, width = frames[0].mask_features.shape[2:]
        side = 4 * height, 4 * width
        meta = FrameMeta(img_shape=side, ori_shape=side)
        for frame in frames:
            found, = self.online.advance(state, frame, meta)
            assert state.tracks is not None and state.ids is not None
            rows = state.tracks.queries[0]
            # The classes are those of the online system, with its MemCNP.
            assert found.logits is not None
            parts = (rows, found.logits, tracker.predict(rows)[1],
                     tracker.memory.read(state.tracks.anchors)[0],
                     torch.ones_like(rows[:, :1]))
            seen.append((state.ids, torch.cat(parts, 1)))
        assert state.count is not None
        count = int(state.count)
        widths = [x.shape[1] for x in parts]
        queries, logits, embeds = (
            torch.cat([getattr(frame, name)[-1] for frame in frames])
            for name in ('queries', 'logits', 'mask_embeds'))
        chosen = self._best(seen, count, widths, queries.shape[1])
        # Of the instances that have rows alone: there may be many others.
        place = chosen.new_full((count, ), -1)
        place[chosen] = torch.arange(len(chosen), device=place.device)
        table = rows.new_zeros(len(seen), len(chosen), sum(widths))
        for every, (ids, values) in zip(table, seen, strict=True):
            at = place[ids]
            every[at[at >= 0]] = values[at >= 0].to(table)
        return collect(OnlineTracks(*table.split(widths, 2)), queries, logits,
                       embeds)

    def _best(self, seen: list[tuple[Tensor, Tensor]], count: int,
              widths: list[int], queries: int) -> Tensor:
        """Which of ``count`` instances have rows; see :func:`best_tracks`."""
        ids, values = (torch.cat(x) for x in zip(*seen, strict=True))
        sums = values.new_zeros(count, widths[1] + 1).index_add(
            0, ids, values[:, [*range(widths[0], widths[0] + widths[1]), -1]])
        lasting = torch.zeros(count, dtype=torch.bool, device=ids.device)
        lasting[seen[-1][0]] = True
        return best_tracks(
            sums[:, :-1] / sums[:, -1:], (sums[:, -1] >= self.min_frames) |
            lasting, min(self.num_tracks, queries))

    def bytes_per_frame(self, input_hw: tuple[int, int]) -> int:
        """See :meth:`OfflineVIS.bytes_per_frame`: also the rows that are
        followed in a frame at most, and those of the best instances."""
        tracker = self.online.tracker
        dims = tracker.cls_embed.in_features
        each = (2 * dims + tracker.cls_embed.out_features +
                tracker.mask_embed.layers[-1].out_features + 1)
        return super().bytes_per_frame(input_hw) + self.online.max_tracks * (
            4 * each + 8) + self.num_tracks * 4 * each

    def online_features(self, mask_features: Tensor) -> Tensor:
        """See :meth:`OfflineVIS.online_features`: of the tracker, of the
        segmenter, and a constant."""
        return torch.cat((
            self.online.tracker.mask_proj(mask_features), mask_features,
            torch.ones_like(mask_features[:, :1])), 1)


def best_tracks(logits: Tensor, whole: Tensor, most: int) -> Tensor:
    """Instances (n,) int64 with the best class, best first, n <= ``most``.

    Args:
        logits (Tensor): Shape (I, K + 1), the means of each.
        whole (Tensor): Shape (I,) bool, those that did not end too soon; the
            others are left out.
        most (int): How many, 0 or more.
    """
    kept = whole.nonzero()[:, 0]
    scores = best_score(logits[kept])
    return kept[scores.topk(min(most, len(kept))).indices]


def link(queries: Tensor) -> Tensor:
    """Which query (T, N) int64 of each frame continues each of the first, as
    in MinVIS; of queries (T, N, C)."""
    associate = HungarianAssociation()
    order = [torch.arange(queries.shape[1], device=queries.device)]
    for before, now in zip(queries[:-1], queries[1:], strict=True):
        order.append(associate(before[order[-1]][None], now[None])[0])
    return torch.stack(order)


def collect(tracks: OnlineTracks, queries: Tensor, logits: Tensor,
            mask_embeds: Tensor) -> VideoRows:
    """What the refiner reads of a video.

    Where an instance is not followed, it has the anchor of its last frame.

    Args:
        tracks (OnlineTracks): The n instances that have rows, best first.
        queries (Tensor): Shape (T, N, C), of the segmenter.
        logits (Tensor): Shape (T, N, K + 1), of these.
        mask_embeds (Tensor): Shape (T, N, D), of these.

    Returns:
        VideoRows: The n instances, then linked queries, best first.
    """
    alive, count = tracks.alive, tracks.alive.shape[1]
    last = len(alive) - 1 - alive[..., 0].flip(0).argmax(0)
    rows = tracks.rows.where(
        alive > 0, tracks.anchors[last, torch.arange(
            count, device=last.device)])
    order = link(queries)[..., None]
    means = logits.gather(1, order.expand_as(logits)).mean(0)
    best = best_score(means).topk(len(means) - count).indices
    queries_of, embeds = (
        x.gather(1, order[:, best].expand(-1, -1, x.shape[2]))
        for x in (queries, mask_embeds))
    # Beside the tracker's features stand those of the segmenter and a one.
    own = torch.cat(
        (F.pad(tracks.mask_embeds, (0, embeds.shape[2])),
         (1 - alive) * NOWHERE), 2)
    embeds = F.pad(embeds, (tracks.mask_embeds.shape[2], 1))
    return VideoRows(
        torch.cat((rows, queries_of), 1), queries,
        torch.cat((tracks.mean_logits(), means[best])),
        torch.cat((own, embeds), 1))
