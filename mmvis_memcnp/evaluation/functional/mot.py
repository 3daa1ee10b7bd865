"""Identity and tracking scores: IDF1, MOTA, switches and relatives.

The CLEAR MOT (Bernardin and Stiefelhagen, 2008) and ID measures (Ristani et
al., 2016) with the conventions of py-motmetrics: correspondences of earlier
frames are kept first, the rest is assigned at the smallest total distance;
data set numbers come from summed counts, not from averaged ratios.
"""
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from .assignment import assign


@dataclass
class TrackingCounts:
    """What the scores of one video are made of; ``a + b`` joins videos.

    Attributes:
        num_frames: frames.
        num_objects: ground-truth boxes.
        num_predictions: predicted boxes.
        num_unique_objects: ground-truth tracks with at least one box.
        num_matches: matched boxes that keep their identity.
        num_switches: matched boxes whose identity has changed.
        num_misses: ground-truth boxes without a match.
        num_false_positives: predicted boxes without a match.
        num_fragmentations: changes from tracked to missed within the span in
            which an object is tracked.
        mostly_tracked: tracks matched in at least 80 % of their frames.
        partially_tracked: tracks in between.
        mostly_lost: tracks matched in less than 20 %.
        idtp: boxes matched under the best assignment of whole tracks.
        distance: sum of the distances of matched boxes; NaN once a video
            without matches takes part.
    """
    num_frames: int = 0
    num_objects: int = 0
    num_predictions: int = 0
    num_unique_objects: int = 0
    num_matches: int = 0
    num_switches: int = 0
    num_misses: int = 0
    num_false_positives: int = 0
    num_fragmentations: int = 0
    mostly_tracked: int = 0
    partially_tracked: int = 0
    mostly_lost: int = 0
    idtp: int = 0
    distance: float = 0.

    def __add__(self, other: 'TrackingCounts') -> 'TrackingCounts':
        return TrackingCounts(*(getattr(self, f.name) + getattr(other, f.name)
                                for f in fields(self)))

    def scores(self) -> dict[str, float]:
        """All counts and ratios by their py-motmetrics names.

        ``motp`` is the mean distance (1 - IoU) of matched boxes; it is NaN
        for a data set in which some video has no match, as there.  A ratio
        without a denominator is NaN.
        """
        found = {
            f.name: float(getattr(self, f.name))
            for f in fields(self) if f.name != 'distance'
        }
        detected = self.num_matches + self.num_switches
        objects, predictions = self.num_objects, self.num_predictions
        errors = (
            self.num_misses + self.num_false_positives + self.num_switches)
        found.update(
            idfp=float(predictions - self.idtp),
            idfn=float(objects - self.idtp),
            idp=_ratio(self.idtp, predictions),
            idr=_ratio(self.idtp, objects),
            idf1=_ratio(2 * self.idtp, objects + predictions),
            mota=1 - _ratio(errors, objects),
            motp=_ratio(self.distance, detected),
            precision=_ratio(detected, predictions),
            recall=_ratio(detected, objects))
        return found


def _ratio(numerator: float, denominator: float) -> float:
    with np.errstate(divide='ignore', invalid='ignore'):
        return float(np.true_divide(numerator, denominator))


def box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of boxes (n, 4) and (m, 4), x, y, w, h: float64 (n, m)."""
    a, b = boxes[:, None], others[None]
    size = (np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) -
            np.maximum(a[..., :2], b[..., :2])).clip(0)
    inter = size.prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inter
    return np.divide(
        inter, union, out=np.zeros(inter.shape), where=union > 0)


def count_tracking(objects: np.ndarray,
                   predictions: np.ndarray,
                   max_distance: float = .5) -> TrackingCounts:
    """Follow the objects of one video through its frames.

    Args:
        objects: float (G, T, 4) boxes x, y, w, h; NaN = absent.
        predictions: float (P, T, 4), the same.
        max_distance: largest 1 - IoU of a match.

    Returns:
        The counts.

    Raises:
        ValueError: if the numbers of frames differ.
    """
    if objects.shape[1] != predictions.shape[1]:
        raise ValueError(f'ground truth has {objects.shape[1]} frames, the '
                         f'predictions have {predictions.shape[1]}.')
    present, predicted = (~np.isnan(b[..., 0]) for b in (objects, predictions))
    similarity = np.zeros(
        (len(objects), len(predictions), present.shape[1]))
    for t in range(present.shape[1]):
        similarity[..., t] = box_iou(objects[:, t], predictions[:, t])
    return count_matches(similarity, present, predicted, max_distance)


def count_matches(similarity: np.ndarray, present: np.ndarray,
                  predicted: np.ndarray,
                  max_distance: float = .5) -> TrackingCounts:
    """Follow the objects of one video, given how near tracks are.

    Args:
        similarity: float64 (G, P, T), IoUs; any number where a track is
            absent.
        present: bool (G, T), where the objects are.
        predicted: bool (P, T), where the predictions are.
        max_distance: largest 1 - IoU of a match.

    Returns:
        The counts.
    """
    found = follow(similarity, present, predicted, max_distance)
    tracked = found >= 0
    rows, frames_of = np.nonzero(tracked)
    distance = float((1 - similarity[rows, found[tracked], frames_of]).sum())
    switches = int(identity_switches(found).sum())
    together = ((1 - similarity <= max_distance) & present[:, None]
                & predicted[None]).sum(2)
    matches = int(tracked.sum())
    frames = present.sum(1)
    seen = frames > 0
    share = tracked.sum(1)[seen] / frames[seen]
    best = assign(together, maximize=True)
    return TrackingCounts(
        num_frames=present.shape[1],
        num_objects=int(present.sum()),
        num_predictions=int(predicted.sum()),
        num_unique_objects=int(seen.sum()),
        num_matches=matches - switches,
        num_switches=switches,
        num_misses=int(present.sum()) - matches,
        num_false_positives=int(predicted.sum()) - matches,
        num_fragmentations=sum(
            _fragmentations(t[p])
            for t, p in zip(tracked, present, strict=True)),
        mostly_tracked=int((share >= .8).sum()),
        partially_tracked=int(((share >= .2) & (share < .8)).sum()),
        mostly_lost=int((share < .2).sum()),
        idtp=int(together[best].sum()),
        distance=distance if matches else float('nan'))


def follow(similarity: np.ndarray, present: np.ndarray,
           predicted: np.ndarray, max_distance: float = .5) -> np.ndarray:
    """Which prediction follows each object, frame by frame.

    Args:
        similarity: float64 (G, P, T), see :func:`count_matches`.
        present: bool (G, T).
        predicted: bool (P, T).
        max_distance: largest 1 - IoU of a match.

    Returns:
        int64 (G, T), the place of the prediction; -1 where the object is
        absent or missed.
    """
    found = np.full(present.shape, -1)
    current = np.full(len(present), -1)  # identity of the latest match
    for t in range(present.shape[1]):
        rows, columns = (np.flatnonzero(p[:, t]) for p in (present, predicted))
        if not (rows.size and columns.size):
            continue
        cost = 1 - similarity[rows[:, None], columns, t]
        pairs = _match_frame(cost, cost <= max_distance, current[rows],
                             columns)
        for i, j in pairs:
            found[rows[i], t] = current[rows[i]] = columns[j]
    return found


def identity_switches(found: np.ndarray) -> np.ndarray:
    """Where another prediction follows an object than when it was last found.

    Args:
        found: int64 (G, T), see :func:`follow`.

    Returns:
        bool (G, T), the switches.
    """
    frames = np.where(found >= 0, np.arange(found.shape[1]), -1)
    last = np.maximum.accumulate(frames, 1)[:, :-1]
    before = np.where(last >= 0, np.take_along_axis(
        found[:, :-1], last.clip(0), 1), -1)
    changed = np.zeros(found.shape, bool)
    changed[:, 1:] = (found[:, 1:] >= 0) & (before >= 0) & (
        before != found[:, 1:])
    return changed


def _match_frame(cost: np.ndarray, allowed: np.ndarray, current: np.ndarray,
                 columns: np.ndarray) -> list[Sequence[int]]:
    """Pairs (row, column) of one frame.

    First the latest identity of each object if it is there and near enough,
    in object order, then as many pairs as possible at the smallest sum.
    """
    pairs: list[Sequence[int]] = []
    left = allowed.copy()
    for i, identity in enumerate(current):
        for j in np.flatnonzero(columns == identity):
            if left[i, j]:
                pairs.append((i, int(j)))
                left[i], left[:, j] = False, False
    if left.any():
        # a forbidden pair costs more than any set of allowed ones
        size = min(cost.shape)
        forbidden = 2 * size * (cost[left].max() + 1) + 1
        rows, cols = assign(np.where(left, cost, forbidden))
        pairs += [(i, j) for i, j in zip(rows, cols, strict=True)
                  if left[i, j]]
    return pairs


def _fragmentations(tracked: np.ndarray) -> int:
    """Changes from tracked to missed before the last tracked frame."""
    hits = np.flatnonzero(tracked)
    if not hits.size:
        return 0
    span = tracked[hits[0]:hits[-1] + 1].astype(int)
    return int((np.diff(span) == -1).sum())
