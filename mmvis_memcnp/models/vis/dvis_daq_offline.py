"""DVIS-DAQ, offline: the tracked rows of a video are refined.

Zhou et al., Improving Video Segmentation via Dynamic Anchor Queries, ECCV
2024.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ...results.pixels import FrameMeta
from ..segmenters.mask2former import FrameQueries
from ..trackers import RowTracker, reorder
from .anchor_online import AnchorVIS, FollowOptions, best_score
from .arguments import check_counts
from .offline import OfflineVIS, VideoRows

#: Mask logits of an instance before it begins and after it has ended.
NOWHERE = -1e4


class Followed(NamedTuple):
    """S rows of instances, frame after frame of a video.

    Attributes:
        times: (S,) int64, the frame of each.
        ids: (S,) int64, the instance.
        rows: (S, C).
        anchors: (S, C), of the masks of the instance so far.
        logits: (S, K + 1).
        masks: (S, h, w), logits; h is 0 at inference.
    """
    times: Tensor
    ids: Tensor
    rows: Tensor
    anchors: Tensor
    logits: Tensor
    masks: Tensor


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
        state, memory = self.online.begin({}), self.online.tracker.memory
        size = tuple(4 * side for side in frames[0].mask_features.shape[2:])
        meta, seen = FrameMeta(img_shape=size, ori_shape=size), []
        for t, frame in enumerate(frames):
            found, = self.online.advance(state, frame, meta)
            masks = found.masks.values
            assert state.tracks is not None and isinstance(masks, Tensor)
            # The classes are those of the online system, with its MemCNP.
            seen.append((
                torch.full_like(found.ids, t), found.ids,
                state.tracks.queries[0], memory.read(state.tracks.anchors)[0],
                found.logits, masks[:, self.kept]))
        followed = Followed._make(map(torch.cat, zip(*seen, strict=True)))
        queries = FrameQueries.join([frame._replace(
            mask_features=frame.mask_features[:, :, self.kept])
            for frame in frames])
        return collect(followed, queries, *best_tracks(
            followed, len(frames), self.min_frames,
            min(self.num_tracks, queries.queries.shape[2])))

    def bytes_per_frame(self, input_hw: tuple[int, int]) -> int:
        """See :meth:`ClipVIS.bytes_per_frame`: also the rows that are
        followed in a frame at most."""
        heads = self.online.tracker.cls_embed
        each = 4 * (2 * heads.in_features + heads.out_features) + 16
        return (super().bytes_per_frame(input_hw) +
                self.online.max_tracks * each)


def best_tracks(followed: Followed, num_frames: int, min_frames: int,
                most: int) -> tuple[Tensor, Tensor]:
    """The instances with the best class, best first.

    Args:
        followed (Followed): Of a video of ``num_frames`` frames.
        min_frames (int): Those that ended after fewer frames are left out.
        most (int): How many, 0 or more.

    Returns:
        tuple[Tensor, Tensor]: Shape (n,) int64, and their class logits (n,
        K + 1), mean over the frames of each.
    """
    ids, row, lived = followed.ids.unique(
        return_inverse=True, return_counts=True)
    lasting = torch.isin(
        ids, followed.ids[followed.times == num_frames - 1])
    logits = followed.logits.new_zeros(
        len(ids), followed.logits.shape[1]).index_add(
            0, row, followed.logits) / lived[:, None]
    kept = ((lived >= min_frames) | lasting).nonzero()[:, 0]
    best = kept[best_score(logits[kept]).topk(min(most, len(kept))).indices]
    return ids[best], logits[best]


def link(queries: Tensor) -> Tensor:
    """Which query (T, N) int64 of each frame continues each of the first, as
    in MinVIS; of queries (T, N, C)."""
    tracker = RowTracker(dict(type='HungarianAssociation'),
                         dict(type='LatestMemory'))
    state, orders = tracker.start(), []
    for frame in queries.split(1):
        tracked, state = tracker.step(state, frame)
        orders.append(tracked.order)
    return torch.cat(orders)


def collect(followed: Followed, frames: FrameQueries, chosen: Tensor,
            logits: Tensor) -> VideoRows:
    """What the refiner reads of a video.

    Where an instance is not followed, it has the anchor of its last frame.

    Args:
        followed (Followed): Of all instances.
        frames (FrameQueries): Of the T frames, N queries each.
        chosen (Tensor): Shape (n,) int64, the instances that have rows.
        logits (Tensor): Shape (n, K + 1), of these.

    Returns:
        VideoRows: The n instances, then linked queries, best first.
    """
    queries = frames.queries[-1]
    at, to = (followed.ids[:, None] == chosen).nonzero(as_tuple=True)
    place = followed.times[at], to
    last = torch.zeros_like(chosen).scatter_reduce(0, to, at, 'amax')
    rows = followed.anchors[last].repeat(len(queries), 1, 1)
    rows[place] = followed.rows[at].to(rows)
    order = link(queries)
    means = reorder(frames.logits[-1], order).mean(0)
    best = best_score(means).topk(len(means) - len(chosen)).indices
    order = order[:, best]
    masks = followed.masks.new_full(
        (*rows.shape[:2], *followed.masks.shape[1:]), NOWHERE)
    masks[place] = followed.masks[at]
    return VideoRows(
        torch.cat((rows, reorder(queries, order)), 1), queries,
        torch.cat((logits, means[best])),
        torch.cat((masks, reorder(frames.masks(), order)), 1))
