"""Areas, boxes and overlaps of the tracks of one video, all at once."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...results.spans import Spans, TrackMaskError, read_spans
from .intersections import add_common

# Pixels, and characters of codes, that are decoded at a time.
_BLOCK_PIXELS = 1 << 30
_BLOCK_TEXT = 1 << 18


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
        add_common(found.common, ours, theirs, groups, start,
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
