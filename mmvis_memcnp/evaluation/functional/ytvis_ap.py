"""Average precision of video instance segmentation.

The numbers of the official YouTube-VIS evaluator (youtubevos/cocoapi), every
cell of its arrays, computed from the reduced videos of ``track_iou``.
One deliberate difference: an annotation with id 0 can be matched.
"""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .track_iou import MAX_DETS, Cell

IOU_THRS = np.linspace(.5, .95, 10)
RECALL_THRS = np.linspace(0, 1, 101)
MAX_DET_LIMITS = (1, 10, MAX_DETS)
AREA_RANGES = {
    'all': (0, 1e10),
    'small': (0, 128**2),
    'medium': (128**2, 256**2),
    'large': (256**2, 1e10),
}
_LOW, _HIGH = np.asarray(list(AREA_RANGES.values())).T[:, :, None]
_REQUIRED = np.minimum(IOU_THRS, 1 - 1e-10)[:, None]
_AREA, _THRESHOLD = np.ogrid[:len(AREA_RANGES), :len(IOU_THRS)]
STAT_NAMES = ('AP', 'AP50', 'AP75', 'AP_small', 'AP_medium', 'AP_large',
              'AR1', 'AR10', 'AR100', 'AR_small', 'AR_medium', 'AR_large')


@dataclass
class APResult:
    """Scores of a data set; -1 = no ground truth.

    Attributes:
        cat_ids: the K category ids, ascending.
        precision: float64 (10, 101, K, 4, 3): IoU threshold, recall,
            category, area range (all, small, medium, large), maximum number
            of predictions of a video and category (1, 10, 100).
        recall: float64 (10, K, 4, 3).
        scores: score reached, as ``precision``.
    """
    cat_ids: list[int]
    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray

    def stats(self) -> dict[str, float]:
        """The twelve numbers of the official summary, in 0..1 or -1."""
        values = [
            _mean(self.precision[..., 0, 2]),
            _mean(self._at(.5)[..., 0, 2]),
            _mean(self._at(.75)[..., 0, 2]),
            *(_mean(self.precision[..., a, 2]) for a in (1, 2, 3)),
            *(_mean(self.recall[..., 0, m]) for m in (0, 1, 2)),
            *(_mean(self.recall[..., a, 2]) for a in (1, 2, 3))
        ]
        return dict(zip(STAT_NAMES, values, strict=True))

    def per_class(self) -> dict[int, dict[str, float]]:
        """``{category id: {AP, AP50, AP75, AR1, AR10, AR100}}``."""
        return {
            c: {
                'AP': _mean(self.precision[:, :, k, 0, 2]),
                'AP50': _mean(self._at(.5)[:, :, k, 0, 2]),
                'AP75': _mean(self._at(.75)[:, :, k, 0, 2]),
                'AR1': _mean(self.recall[:, k, 0, 0]),
                'AR10': _mean(self.recall[:, k, 0, 1]),
                'AR100': _mean(self.recall[:, k, 0, 2])
            }
            for k, c in enumerate(self.cat_ids)
        }

    def _at(self, iou: float) -> np.ndarray:
        return self.precision[np.isclose(IOU_THRS, iou)]


def _mean(values: np.ndarray) -> float:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else -1.


def match_at_thresholds(
        cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Greedy matching of one video and category.

    Predictions take, best score first, the free ground truth with the
    largest IoU of at least the threshold; of equal IoUs the later one.
    Ground truths outside the area range, and crowds, are taken only if no
    other is left, and a prediction that takes one is ignored; crowds stay
    free.  Unmatched predictions outside the area range are ignored.

    Args:
        cell: the reduced video.

    Returns:
        matched and ignored predictions, both bool (4, 10, D) by area range
        and IoU threshold, and ignored ground truths, bool (4, G).
    """
    gt_ignored = cell.gt_crowd | (cell.gt_areas < _LOW) | (
        cell.gt_areas > _HIGH)
    shape = (len(_LOW), len(IOU_THRS))
    free = np.ones((*shape, len(cell.gt_areas)), bool)
    matched = np.zeros((*shape, len(cell.scores)), bool)
    ignored = np.zeros_like(matched)
    last = free.shape[-1] - 1
    near = cell.ious.max(1, initial=0) >= _REQUIRED[0]
    for d in np.flatnonzero(near).tolist():
        pool = (free | cell.gt_crowd) & (cell.ious[d] >= _REQUIRED)
        wanted = pool & ~gt_ignored[:, None]
        pool = np.where(wanted.any(-1, keepdims=True), wanted, pool)
        # the last of equal maxima, hence the reversal
        best = last - np.where(pool, cell.ious[d], -1)[..., ::-1].argmax(-1)
        found = pool.any(-1)
        matched[..., d] = found
        ignored[..., d] = found & gt_ignored[_AREA, best]
        free[_AREA, _THRESHOLD, best] &= ~found
    outside = (cell.areas < _LOW) | (cell.areas > _HIGH)
    return matched, ignored | (~matched & outside[:, None]), gt_ignored


def matched(cells: dict[int, Cell]) -> dict[int, Cell]:
    """Match the cells of a video now, in the process that it is in.

    Args:
        cells: by category; their ``matches`` are set.
    """
    for cell in cells.values():
        cell.matches = match_at_thresholds(cell)
    return cells


def average_precision(videos: Mapping[int, Mapping[int, Cell]],
                      cat_ids: Sequence[int]) -> APResult:
    """Precision and recall of a data set.

    Args:
        videos: ``{video id: {category id: Cell}}`` of every video that
            counts; videos without predictions included.
        cat_ids: categories that count; others are left out.

    Returns:
        The arrays of the official evaluator.
    """
    ids = sorted(set(cat_ids))
    size = (len(IOU_THRS), len(RECALL_THRS), len(ids), len(AREA_RANGES),
            len(MAX_DET_LIMITS))
    precision, scores = np.full(size, -1.), np.full(size, -1.)
    recall = np.full((size[0], *size[2:]), -1.)
    for k, category in enumerate(ids):
        cells = [videos[v][category] for v in sorted(videos)
                 if category in videos[v]]
        matches = [cell.matches or match_at_thresholds(cell)
                   for cell in cells]
        most = max((len(cell.scores) for cell in cells), default=0)
        for m, limit in enumerate(MAX_DET_LIMITS):
            if m and most <= MAX_DET_LIMITS[m - 1]:  # nothing new
                for values in (precision, recall, scores):
                    values[..., k, :, m] = values[..., k, :, m - 1]
                continue
            _accumulate(cells, matches, limit, precision[:, :, k, :, m],
                        recall[:, k, :, m], scores[:, :, k, :, m])
    return APResult(ids, precision, recall, scores)


def _accumulate(cells: Sequence[Cell], matches: Sequence[tuple], limit: int,
                precision: np.ndarray, recall: np.ndarray,
                scores: np.ndarray) -> None:
    """Fill the cells of one category and limit, in place."""
    if not cells:
        return
    ranked = np.concatenate([c.scores[:limit] for c in cells])
    order = np.argsort(-ranked, kind='stable')
    ranked = ranked[order]
    matched, ignored = (
        np.concatenate([m[i][..., :limit] for m in matches], -1)[..., order]
        for i in (0, 1))
    objects = np.concatenate([~m[2] for m in matches], -1).sum(-1)
    tp = np.cumsum(matched & ~ignored, -1, dtype=np.float64)
    fp = np.cumsum(~matched & ~ignored, -1, dtype=np.float64)
    for a in np.flatnonzero(objects):
        recalls = tp[a] / objects[a]
        precisions = tp[a] / (tp[a] + fp[a] + np.spacing(1))
        precisions = np.maximum.accumulate(precisions[:, ::-1], -1)[:, ::-1]
        recall[:, a] = recalls[:, -1] if len(ranked) else 0
        precision[:, :, a] = scores[:, :, a] = 0
        for t, curve in enumerate(recalls):
            at = np.searchsorted(curve, RECALL_THRS, side='left')
            reached = at < len(curve)
            precision[t, reached, a] = precisions[t, at[reached]]
            scores[t, reached, a] = ranked[at[reached]]
