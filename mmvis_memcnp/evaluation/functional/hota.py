"""Higher order tracking accuracy (HOTA).

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object
Tracking", IJCV 2021, sections 4 and 5; data set numbers come from summed
counts, as in the authors' TrackEval.
"""
from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from .assignment import assign

#: IoUs from which a pair counts as found.
ALPHAS = np.arange(.05, .99, .05)


def _zeros() -> np.ndarray:
    return np.zeros(len(ALPHAS))


@dataclass
class HOTACounts:
    """What HOTA of one video is made of, for each of 19 thresholds.

    ``a + b`` joins videos.

    Attributes:
        found: objects that were found, a frame each (TP).
        missed: objects that were not (FN).
        false: predictions that are none (FP).
        association: sum over the found ones of the association score of
            their pair of tracks.
        localisation: sum of their IoUs.
    """
    found: np.ndarray = field(default_factory=_zeros)
    missed: np.ndarray = field(default_factory=_zeros)
    false: np.ndarray = field(default_factory=_zeros)
    association: np.ndarray = field(default_factory=_zeros)
    localisation: np.ndarray = field(default_factory=_zeros)

    def __add__(self, other: HOTACounts) -> HOTACounts:
        return HOTACounts(*(getattr(self, f.name) + getattr(other, f.name)
                            for f in fields(self)))

    def scores(self) -> dict[str, float]:
        """Means over the thresholds, in 0..1.

        Returns:
            ``HOTA``, ``DetA``, ``AssA`` and ``LocA``, which is 1 where
            nothing was found.
        """
        found = np.maximum(self.found, 1)
        detection = self.found / np.maximum(
            self.found + self.missed + self.false, 1)
        association = self.association / found
        localisation = np.where(self.found > 0, self.localisation / found, 1)
        return dict(
            HOTA=float(np.sqrt(detection * association).mean()),
            DetA=float(detection.mean()), AssA=float(association.mean()),
            LocA=float(localisation.mean()))


def count_hota(similarity: np.ndarray, present: np.ndarray,
               predicted: np.ndarray) -> HOTACounts:
    """Match the tracks of one video for HOTA.

    Each frame is matched once, at the largest sum of IoUs times how well the
    two tracks fit over the whole video; the thresholds then decide which
    pairs count.

    Args:
        similarity: float64 (G, P, T), IoUs; any number where a track is
            absent.
        present: bool (G, T), where the objects are.
        predicted: bool (P, T), where the predictions are.

    Returns:
        The counts.
    """
    both = present[:, None] & predicted[None]
    similarity = np.where(both, similarity, 0)
    total = similarity.sum(0)[None] + similarity.sum(1)[:, None] - similarity
    # How well two tracks fit: the sum over frames of IoUs, each divided by
    # what its object and its prediction share with others.
    share = np.divide(similarity, total, out=np.zeros(total.shape),
                      where=both & (total > np.finfo(float).eps)).sum(2)
    sizes = present.sum(1)[:, None] + predicted.sum(1)[None]
    fit = np.divide(share, sizes - share, out=np.zeros(share.shape),
                    where=sizes > share)
    counts = HOTACounts()
    matches = np.zeros((len(ALPHAS), *share.shape))
    thresholds = ALPHAS - np.finfo(float).eps
    for t in range(present.shape[1]):
        rows, columns = (np.flatnonzero(p[:, t]) for p in (present, predicted))
        iou = similarity[rows[:, None], columns, t]
        chosen = assign(
            fit[rows[:, None], columns] * iou, maximize=True)
        iou = iou[chosen]
        kept = iou >= thresholds[:, None]
        number = kept.sum(1)
        counts.found += number
        counts.missed += len(rows) - number
        counts.false += len(columns) - number
        counts.localisation += (kept * iou).sum(1)
        matches[:, rows[chosen[0]], columns[chosen[1]]] += kept
    jaccard = matches / np.maximum(sizes - matches, 1)
    counts.association = (matches * jaccard).sum((1, 2))
    return counts
