"""Pixels that the masks of one video share.

The compiled functions compare mask by mask. Without them NumPy compares all
masks of a category at once, in the quicker of two ways: by the bounds of
their spans or by drawing them. All give the same.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...results import compiled
from ...results.spans import Spans

# Words of 64 pixels that NumPy draws at a time.
_BLOCK_WORDS = 1 << 20
# Words of 64 pixels of a mask that the compiled functions draw.
_ROOM = 1 << 18
# Time of a bound that is looked up, times of a word that is drawn or counted.
_LOOK_UP = 2

_Masks = tuple[Spans, np.ndarray]
_Groups = Sequence[Sequence[slice]]


def add_common(common: np.ndarray, ours: _Masks, theirs: _Masks,
               groups: _Groups, start: int, pixels: int) -> None:
    """Add the pixels that are shared in some frames.

    Args:
        common (np.ndarray): int64 (P, G) or, by frame, (P, G, T); is added
            to.
        ours (tuple): Masks of the P tracks, and int64 (K, 2): track and
            frame of each.
        theirs (tuple): The same of the G tracks.
        groups (Sequence): Tracks of both sides that are compared with each
            other.
        start (int): First of the frames.
        pixels (int): Pixels of a mask.
    """
    if compiled.missing():
        _all_at_once(common, ours, theirs, groups, start, pixels)
    else:
        _mask_by_mask(common, ours, theirs, groups, start, pixels)


def _mask_by_mask(common: np.ndarray, ours: _Masks, theirs: _Masks,
                  groups: _Groups, start: int, pixels: int) -> None:
    (spans, where), (gt_spans, gt_where) = ours, theirs
    if not len(where) or not len(gt_where):
        return
    frames = int(max(where[:, 1].max(), gt_where[:, 1].max())) - start + 1
    # The mask of each track and frame, -1 where there is none.
    masks, gt_masks = (np.full((n, frames), -1) for n in common.shape[:2])
    masks[where[:, 0], where[:, 1] - start] = np.arange(len(where))
    gt_masks[gt_where[:, 0], gt_where[:, 1] - start] = np.arange(
        len(gt_where))
    found = [np.zeros((0, 2), np.int64)]
    for tracks, gt_tracks in groups:
        # (G, T, P, 2): masks to compare with the same one are neighbours.
        both = np.stack(np.broadcast_arrays(
            masks[tracks].T[None], gt_masks[gt_tracks, :, None]), -1)
        found.append(both[(both >= 0).all(-1)])
    pairs = np.concatenate(found)
    shared = compiled.shared(spans.bounds, spans.offsets, gt_spans.bounds,
                             gt_spans.offsets, pairs,
                             min(pixels // 64 + 1, _ROOM))
    (tracks, times), gt_tracks = where[pairs[:, 0]].T, gt_where[pairs[:, 1], 0]
    if common.ndim == 3:
        common[tracks, gt_tracks, times] = shared
    else:
        np.add.at(common, (tracks, gt_tracks), shared)


def _all_at_once(common: np.ndarray, ours: _Masks, theirs: _Masks,
                 groups: _Groups, start: int, pixels: int) -> None:
    (spans, where), (gt_spans, gt_where) = ours, theirs
    for tracks, gt_tracks in groups:
        masks, gt_masks = (
            slice(*np.searchsorted(w[:, 0], [t.start, t.stop]).tolist())
            for w, t in ((where, tracks), (gt_where, gt_tracks)))
        some = _Some(spans, masks, *where[masks].T)
        other = _Some(gt_spans, gt_masks, *gt_where[gt_masks].T)
        if not len(some.tracks) or not len(other.tracks):
            continue
        shared = _by_bounds(some, other, gt_tracks, start, pixels)
        # To find the part of the frame that both sides reach takes time, too,
        # so it is looked for where a quarter of the frame would be quick.
        if _bits_are_quicker(some, other, gt_tracks, pixels // 256 + 1):
            extents = some.extent(), other.extent()
            first = max(extent[0] for extent in extents)
            last = min(extent[1] for extent in extents)
            if last <= first:
                continue
            if _bits_are_quicker(some, other, gt_tracks,
                                 (last - first) // 64 + 1):
                shared = _by_bits(some, other, gt_tracks, start, first, last)
        for g, sums in shared:
            if common.ndim == 3:
                common[some.tracks, g, some.frames] = sums
            else:
                np.add.at(common[:, g], some.tracks, sums)


class _Some(NamedTuple):
    """Masks of one category, track after track."""
    spans: Spans
    masks: slice
    tracks: np.ndarray
    frames: np.ndarray

    @property
    def offsets(self) -> np.ndarray:
        return self.spans.offsets[self.masks.start:self.masks.stop + 1]

    @property
    def bounds(self) -> np.ndarray:
        return self.spans.bounds[self.offsets[0]:self.offsets[-1]]

    def extent(self) -> tuple[int, int]:
        """First pixel of a span, and the one behind the last."""
        begin, end = self.bounds.T
        # The last span of a mask may be empty and behind its pixels.
        return int(begin.min()), int(end.max(where=end > begin, initial=0))


_Sums = Iterator[tuple[int, np.ndarray]]


def _bits_are_quicker(some: _Some, other: _Some, gt_tracks: slice,
                      words: int) -> bool:
    """Whether masks are so ragged that drawing them pays."""
    if not hasattr(np, 'bitwise_count'):  # NumPy 1
        return False
    masks = len(some.tracks) + len(other.tracks)
    most = gt_tracks.stop - gt_tracks.start
    drawn = words * (masks + len(some.tracks) * most)
    looked_up = len(some.bounds) * (6 + most)
    return words * masks < _BLOCK_WORDS and drawn < _LOOK_UP * looked_up


def _by_bits(some: _Some, other: _Some, gt_tracks: slice, start: int,
             first: int, last: int) -> _Sums:
    """For each annotated track what the masks share with it.

    Args:
        some: K masks.
        other: Those of the annotated tracks.
        gt_tracks: Which tracks these are.
        start: First frame.
        first: First pixel of a frame that both sides can have.
        last: The one behind the last.

    Yields:
        The track, and int64 (K,), pixels.
    """
    bits = some.spans.bits(some.masks, first, last)
    gt_bits = other.spans.bits(other.masks, first, last)
    frames = int(max(some.frames.max(), other.frames.max())) - start + 1
    rows = np.full((gt_tracks.stop - gt_tracks.start, frames), -1)
    rows[other.tracks - gt_tracks.start, other.frames - start] = np.arange(
        len(gt_bits))
    for g, row in enumerate(rows, gt_tracks.start):
        at = row[some.frames - start]
        there = np.flatnonzero(at >= 0)
        both = bits if len(there) == len(at) else bits[there]
        sums = np.zeros(len(at), np.int64)
        sums[there] = np.bitwise_count(both & gt_bits[at[there]]).sum(
            1, dtype=np.uint32)
        yield g, sums


def _by_bounds(some: _Some, other: _Some, gt_tracks: slice, start: int,
               pixels: int) -> _Sums:
    """The same as :func:`_by_bits`, from the bounds of spans.

    The frames of a track, one behind the other, are one long mask. It is
    known how many of its pixels lie before each of its bounds, so one
    look-up for each end of a span tells what the span shares with all
    annotated tracks of its category.
    """
    lines, gt_lines = (s.bounds + np.repeat(
        ((s.frames - start) * pixels).astype(np.int32),
        np.diff(s.offsets))[:, None] for s in (some, other))
    edges = np.searchsorted(
        other.tracks, np.arange(gt_tracks.start, gt_tracks.stop + 1))
    offsets = some.offsets[:-1] - some.offsets[0]
    yield from enumerate(
        _shared(gt_lines, other.offsets[edges] - other.offsets[0],
                lines.reshape(-1), offsets), gt_tracks.start)


def _shared(lines: np.ndarray, edges: np.ndarray, queries: np.ndarray,
            offsets: np.ndarray) -> Iterator[np.ndarray]:
    """Pixels that masks share with each of n lines.

    Args:
        lines: int32 (S, 2) bounds of what is on the lines, one behind the
            other.
        edges: (n + 1,) where the lines begin in ``lines``.
        queries: int32 (2 Q,) bounds of the spans of the masks.
        offsets: (K,) where the masks begin in them, in spans.

    Yields:
        int64 (K,), for the next line.
    """
    bounds = lines[edges[0]:edges[-1]].reshape(-1)
    order = np.argsort(bounds, kind='stable')
    bounds = bounds[order]
    index = bounds.searchsorted(queries)
    # Before place x there are slope * x + base pixels of a line, where both
    # depend on the bounds before x: it is sum of x - begin less x - end.
    sign = (1 - 2 * (order & 1)).astype(np.int8)
    slope = np.zeros(len(bounds) + 1, np.int8)
    base = np.zeros(len(bounds) + 1, np.int32)
    for low, high in zip(edges[:-1] - edges[0], edges[1:] - edges[0],
                         strict=True):
        own = sign * ((order >= 2 * low) & (order < 2 * high))
        np.cumsum(own, out=slope[1:])
        np.cumsum(-own * bounds, out=base[1:])
        counts = base.take(index)
        counts += slope.take(index) * queries
        yield np.add.reduceat(counts[1::2] - counts[0::2], offsets,
                              dtype=np.int64)
