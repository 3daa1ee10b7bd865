"""Reduce one video to what average precision needs: a few kilobytes.

After this no mask is needed any more, so that a data set is scored in the
memory of one video.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...results.spans import TrackMaskError
from .ground_truth import GTTrack
from .overlaps import Overlaps, overlap_video
from .rle import RLE

MAX_DETS = 100  # predictions of one video and category that are looked at


class Prediction(Protocol):
    """One predicted track of a video."""
    score: float
    category_id: int

    @property
    def segmentations(self) -> Sequence[RLE | None]:
        """T codes or None; may be read from disk at every access."""


@dataclass
class Cell:
    """Predictions and ground truths of one video and category.

    Attributes:
        scores: float64 (D,), descending; ties keep the order of the file.
        areas: float64 (D,) mean mask areas of the predictions.
        ious: float64 (D, G) track IoUs; G in file order.
        gt_areas: float64 (G,).
        gt_crowd: bool (G,).
        matches: what `match_at_thresholds` found, if that was asked before.
    """
    scores: np.ndarray
    areas: np.ndarray
    ious: np.ndarray
    gt_areas: np.ndarray
    gt_crowd: np.ndarray
    matches: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


def measure_video(predictions: Sequence[Prediction],
                  ground_truths: Sequence[GTTrack],
                  size: tuple[int, int],
                  same_category: bool = True,
                  by_frame: bool = False,
                  boxes: bool = False,
                  chunk: int = 0) -> Overlaps:
    """Areas, boxes and overlaps of the tracks of one video.

    Args:
        predictions: predicted tracks.
        ground_truths: annotated tracks.
        size: height and width of the video in pixels.
        same_category: whether tracks of two categories share nothing.
        by_frame: see :func:`overlap_video`.
        boxes: see there.
        chunk: number of predictions whose masks are in memory at a time, for
            those that are read from disk; 0: all, and every code is decoded
            once.

    Returns:
        The Overlaps.

    Raises:
        ValueError: if a mask cannot be read or is of another size, or a score
            is not finite.
    """
    for prediction in predictions:
        if not np.isfinite(prediction.score):
            raise ValueError(
                f'a predicted track has the score {prediction.score}: scores '
                'must be finite. Check the model for NaN.')
    masks = [g.segmentations for g in ground_truths]
    kinds = [g.category_id for g in ground_truths]
    parts = []
    step = chunk or max(len(predictions), 1)
    for start in range(0, max(len(predictions), 1), step):
        some = predictions[start:start + step]
        try:
            parts.append(overlap_video(
                [p.segmentations for p in some], masks, size,
                ([p.category_id for p in some], kinds) if same_category
                else None, by_frame, boxes))
        except TrackMaskError as error:
            track = [*some, *ground_truths][error.track]
            name = getattr(track, 'name', 'a predicted track')
            raise ValueError(
                f'{name}, frame {error.frame}: the mask {error}; '
                f'{getattr(track, "fix", "check the model")}.') from error
    return Overlaps.join(parts)


def reduce_video(predictions: Sequence[Prediction],
                 ground_truths: Sequence[GTTrack],
                 size: tuple[int, int],
                 overlaps: Overlaps | None = None) -> dict[int, Cell]:
    """Track IoUs of one video, by category.

    The track IoU is the sum over frames of intersections divided by the sum
    over frames of unions; exact integers until that one division, 0 where
    both tracks are empty. The shorter of two tracks ends the sums.

    Args:
        predictions: predicted tracks; of each category the `MAX_DETS` best
            are kept.
        ground_truths: annotated tracks.
        size: height and width of the video in pixels.
        overlaps: what `measure_video` found, if it was called before.

    Returns:
        ``{category id: Cell}`` of every category that occurs on either side.

    Raises:
        ValueError: see `measure_video`.
    """
    if overlaps is None:
        overlaps = measure_video(predictions, ground_truths, size)
    common = overlaps.common
    if common.ndim == 3:
        common = common.sum(-1)
    ious = common / np.maximum(
        overlaps.unions(common), 1)  # where that is 0 so is what is shared
    # Over the frames where there is a mask, as in `mean_area`.
    areas, gt_areas = (
        found.sum(1) / np.maximum(np.count_nonzero(found, axis=1), 1)
        for found in (overlaps.areas, overlaps.gt_areas))
    given = [g.area for g in ground_truths]
    gt_areas = np.array([a if g is None else g
                         for a, g in zip(gt_areas, given, strict=True)])
    crowd = np.array([g.crowd for g in ground_truths], bool)
    scores = np.array([p.score for p in predictions], np.float64)
    labels, gt_labels = (np.array([t.category_id for t in tracks], np.int64)
                         for tracks in (predictions, ground_truths))
    cells = {}
    for category in np.union1d(labels, gt_labels).tolist():
        rows = np.flatnonzero(labels == category)
        rows = rows[np.argsort(-scores[rows], kind='stable')[:MAX_DETS]]
        columns = np.flatnonzero(gt_labels == category)
        cells[category] = Cell(scores[rows], areas[rows],
                               ious[np.ix_(rows, columns)],
                               gt_areas[columns], crowd[columns])
    return cells
