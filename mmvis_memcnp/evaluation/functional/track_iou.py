"""Reduce one video to what average precision needs: a few kilobytes.

After this no mask is needed any more, so that a data set is scored in the
memory of one video.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .ground_truth import GTTrack, stack_areas
from .rle import RLE, intersections, mean_area

MAX_DETS = 100  # predictions of one video and category that are looked at
_CHUNK = 16  # predictions whose masks are in memory at a time


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
    """
    scores: np.ndarray
    areas: np.ndarray
    ious: np.ndarray
    gt_areas: np.ndarray
    gt_crowd: np.ndarray


def reduce_video(predictions: Sequence[Prediction],
                 ground_truths: Sequence[GTTrack]) -> dict[int, Cell]:
    """Track IoUs of one video, by category.

    The track IoU is the sum over frames of intersections divided by the sum
    over frames of unions; exact integers until that one division, 0 where
    both tracks are empty.

    Args:
        predictions: predicted tracks; of each category the `MAX_DETS` best
            are kept.
        ground_truths: annotated tracks.

    Returns:
        ``{category id: Cell}`` of every category that occurs on either side.

    Raises:
        ValueError: if a score is not finite.
    """
    for prediction in predictions:
        if not np.isfinite(prediction.score):
            raise ValueError(
                f'a predicted track has the score {prediction.score}: scores '
                'must be finite. Check the model for NaN.')
    categories = {p.category_id for p in predictions}
    categories |= {g.category_id for g in ground_truths}
    return {
        c: _reduce_cell([p for p in predictions if p.category_id == c],
                        [g for g in ground_truths if g.category_id == c])
        for c in sorted(categories)
    }


def _reduce_cell(predictions: list[Prediction],
                 ground_truths: list[GTTrack]) -> Cell:
    scores = np.asarray([p.score for p in predictions], np.float64)
    order = np.argsort(-scores, kind='stable')[:MAX_DETS]
    gt_masks = [g.segmentations for g in ground_truths]
    gt_areas = stack_areas(gt_masks)
    ious = np.zeros((len(order), len(ground_truths)))
    areas = np.zeros(len(order))
    for start in range(0, len(order), _CHUNK):
        rows = slice(start, start + _CHUNK)
        masks = [list(predictions[i].segmentations) for i in order[rows]]
        per_frame = stack_areas(masks)
        areas[rows] = [mean_area(a.tolist()) for a in per_frame]
        inter, union = intersections(masks, gt_masks, per_frame, gt_areas)
        np.divide(inter, union, out=ious[rows], where=union > 0)
    return Cell(
        scores[order], areas, ious,
        np.asarray([g.area for g in ground_truths], np.float64),
        np.asarray([g.crowd for g in ground_truths], bool))
