"""Areas, boxes and overlaps of the tracks of one video, all at once."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...results.spans import Spans, TrackMaskError, read_spans

# Pixels, and characters of codes, that are decoded at a time.
_BLOCK_PIXELS = 1 << 30
_BLOCK_TEXT = 1 << 18
# Words of 64 pixels that are drawn at a time.
_BLOCK_WORDS = 1 << 20
# Time of a bound that is looked up, times of a word that is drawn or counted.
_LOOK_UP = 2


@dataclass
class Overlaps:
    """P predicted and G annotated tracks of one video of T frames.

    Attributes:
        areas (np.ndarray): int64 (P, T), pixels; 0 where absent.
        gt_areas (np.ndarray): int64 (G, T).
        common (np.ndarray): int64 (P, G), or (P, G, T) if asked for by
            frame, pixels that two tracks share.
        boxes (np.ndarray): float64 (P, T, 4), tight boxes, x, y, width and
            height, if asked for; NaN where absent.
        gt_boxes (np.ndarray): float64 (G, T, 4).
        lengths (np.ndarray): int64 (P,), frames that a track has, at most T.
        gt_lengths (np.ndarray): int64 (G,).
    """
    areas: np.ndarray
    gt_areas: np.ndarray
    common: np.ndarray
    boxes: np.ndarray
    gt_boxes: np.ndarray
    lengths: np.ndarray
    gt_lengths: np.ndarray

    def unions(self, common: np.ndarray) -> np.ndarray:
        """Pixels that either track of a pair covers.

        Args:
            common: int64 (P, G), pixels that both cover.

        Returns:
            int64 (P, G), sums over the frames that both tracks have.
        """
        shorter = np.minimum(self.lengths[:, None], self.gt_lengths[None])
        sums, gt_sums = (np.pad(a.cumsum(1), ((0, 0), (1, 0)))
                         for a in (self.areas, self.gt_areas))
        rows, columns = np.ogrid[:len(sums), :len(gt_sums)]
        return sums[rows, shorter] + gt_sums[columns, shorter] - common

    def filled_boxes(self) -> Overlaps:
        """The same of the boxes, as masks: needs ``boxes``."""
        x, y = self.boxes[:, None], self.gt_boxes[None]
        sides = (np.minimum(x[..., :2] + x[..., 2:], y[..., :2] + y[..., 2:])
                 - np.maximum(x[..., :2], y[..., :2])).clip(0)
        areas, gt_areas, common = (
            np.nan_to_num(s.prod(-1)).astype(np.int64)
            for s in (self.boxes[..., 2:], self.gt_boxes[..., 2:], sides))
        return Overlaps(areas, gt_areas, common, self.boxes, self.gt_boxes,
                        self.lengths, self.gt_lengths)

    def similarity(self) -> np.ndarray:
        """IoUs frame by frame: float64 (G, P, T); 0 where one is absent.

        Needs ``common`` by frame.
        """
        union = self.areas[:, None] + self.gt_areas[None] - self.common
        return np.divide(self.common, union, out=np.zeros(union.shape),
                         where=union > 0).swapaxes(0, 1)

    @classmethod
    def join(cls, parts: Sequence[Overlaps]) -> Overlaps:
        """Several lots of predictions and the same ground truths.

        Args:
            parts: at least one.
        """
        if len(parts) == 1:
            return parts[0]
        frames = max(part.areas.shape[1] for part in parts)

        def joined(name: str) -> np.ndarray:
            arrays = [getattr(part, name) for part in parts]
            axis = 2 if name == 'common' else 1
            if arrays[0].ndim > axis and arrays[0].shape[axis]:
                fill = np.nan if name == 'boxes' else 0
                arrays = [np.pad(
                    a, [(0, frames - a.shape[axis] if k == axis else 0)
                        for k in range(a.ndim)], constant_values=fill)
                    for a in arrays]
            return np.concatenate(arrays)

        longest = max(parts, key=lambda part: part.areas.shape[1])
        return cls(joined('areas'), longest.gt_areas, joined('common'),
                   joined('boxes'), longest.gt_boxes, joined('lengths'),
                   longest.gt_lengths)


def overlap_video(predictions: Sequence[Sequence[object]],
                  ground_truths: Sequence[Sequence[object]],
                  size: tuple[int, int],
                  kinds: tuple[Sequence[int], Sequence[int]] | None = None,
                  by_frame: bool = False,
                  boxes: bool = False) -> Overlaps:
    """Measure the tracks of one video.

    Every code is decoded once, some frames of all tracks at a time, so that
    the memory that is needed depends neither on the length of the video nor
    on how ragged its masks are.

    Args:
        predictions (Sequence): P tracks: a mask or None a frame, see
            :func:`~mmvis_memcnp.results.spans.read_spans`.
        ground_truths (Sequence): G tracks, which may be polygons.
        size (tuple[int, int]): (H, W) of the video in pixels.
        kinds (tuple, optional): P and G categories: only tracks of the same
            one are compared. None: all are.
        by_frame (bool): Whether to keep the frames apart in ``common``.
            Defaults to False.
        boxes (bool): Whether to find boxes. Defaults to False.

    Returns:
        Overlaps: What was measured.

    Raises:
        TrackMaskError: If a mask cannot be read; ``track`` counts the
            predictions first.
    """
    frames = max(map(len, [*predictions, *ground_truths]), default=0)
    count, gt_count = len(predictions), len(ground_truths)
    found = Overlaps(
        np.zeros((count, frames), np.int64),
        np.zeros((gt_count, frames), np.int64),
        np.zeros((count, gt_count, frames)[:3 if by_frame else 2], np.int64),
        np.full((count, frames if boxes else 0, 4), np.nan),
        np.full((gt_count, frames if boxes else 0, 4), np.nan),
        *(np.array([len(track) for track in side], np.int64)
          for side in (predictions, ground_truths)))
    labels, gt_labels = (np.zeros(n) if kinds is None else np.asarray(kinds[i])
                         for i, n in enumerate((count, gt_count)))
    # Tracks of one category become neighbours.
    order, gt_order = (np.argsort(x, kind='stable')
                       for x in (labels, gt_labels))
    groups = [[slice(*np.searchsorted(x, [kind, kind + 1]).tolist())
               for x in (labels[order], gt_labels[gt_order])]
              for kind in np.intersect1d(labels, gt_labels)]
    tracks = [predictions[i] for i in order]
    gt_tracks = [ground_truths[i] for i in gt_order]
    for start, stop in _blocks([*tracks, *gt_tracks], frames, size):
        block = slice(start, stop)
        ours = _read(tracks, block, size, False, order)
        theirs = _read(gt_tracks, block, size, True, count + gt_order)
        for (spans, where), areas, corners in (
                (ours, found.areas, found.boxes),
                (theirs, found.gt_areas, found.gt_boxes)):
            areas[where[:, 0], where[:, 1]] = spans.areas()
            if boxes:
                corners[where[:, 0], where[:, 1]] = spans.boxes()
        _add_common(found.common, ours, theirs, groups, start,
                    size[0] * size[1])
    back, gt_back = np.argsort(order), np.argsort(gt_order)
    return Overlaps(found.areas[back], found.gt_areas[gt_back],
                    found.common[back][:, gt_back], found.boxes[back],
                    found.gt_boxes[gt_back], found.lengths, found.gt_lengths)


def _blocks(tracks: Sequence[Sequence[object]], frames: int,
            size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First and last frame of what is decoded at a time."""
    text = 0
    for track in tracks:  # the middle stands for all
        mask = track[len(track) // 2] if len(track) else None
        counts = mask.get('counts') if isinstance(mask, dict) else None
        if isinstance(counts, (str, bytes, list)):
            text += len(counts)
    step = min(_BLOCK_TEXT // (text + 1), _BLOCK_PIXELS // (size[0] * size[1]))
    step = max(step, 1)
    for start in range(0, frames, step):
        yield start, min(start + step, frames)


def _read(tracks: Sequence[Sequence[object]], block: slice,
          size: tuple[int, int], polygons: bool,
          numbers: np.ndarray) -> tuple[Spans, np.ndarray]:
    """Spans of a block of frames; frames are counted from the first."""
    try:
        spans, where = read_spans([track[block] for track in tracks], size,
                                  polygons)
    except TrackMaskError as error:
        raise TrackMaskError(str(error), error.frame + block.start,
                             int(numbers[error.track])) from error
    where[:, 1] += block.start
    return spans, where


def _add_common(common: np.ndarray, ours: tuple, theirs: tuple,
                groups: Sequence, start: int, pixels: int) -> None:
    """Add the pixels that are shared in some frames.

    Of two ways, which give the same, the quicker one is taken.
    """
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
