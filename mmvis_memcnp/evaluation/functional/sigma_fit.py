"""Fitting the map that gives predicted uncertainty the size of the errors."""
from __future__ import annotations

from itertools import product

import numpy as np

from ...results.sigma_map import UNITS, SigmaMap
from .calibration import negative_log_likelihood
from .pairs import Pairs

#: Points of a map at most; each is fitted to an equal share of the sides.
POINTS = 20
#: Sides that a point is fitted to, at least, if there are that many.
_PER_POINT = 50
#: Sides without which nothing is fitted.
_LEAST = 20
_DOFS = (*(2 + np.geomspace(.1, 100, 61)), None)


def isotonic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The closest sequence that never descends, by weighted squares.

    Pools adjacent violators (Ayer et al., 1955).

    Args:
        values (np.ndarray): (P,).
        weights (np.ndarray): (P,) positive.

    Returns:
        np.ndarray: float64 (P,).
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        pool = float(value), float(weight), 1
        while pools and pools[-1][0] > pool[0]:
            mean, mass, length = pools.pop()
            total = mass + pool[1]
            pool = ((mean * mass + pool[0] * pool[1]) / total, total,
                    length + pool[2])
        pools.append(pool)
    return np.repeat([p[0] for p in pools], [p[2] for p in pools])


def fit_sigma_map(pairs: Pairs, iou_thr: float = .5) -> SigmaMap:
    """Fit a map to predictions with their truth.

    The variance of the error is estimated in bins of equal size by the
    predicted value, and made monotone; then each side gets a factor by which
    its variance is right. The t distribution is chosen under which the errors
    are likeliest, and so are the units.

    Args:
        pairs (Pairs): Of a model without a map, from data that is not judged
            later.
        iou_thr (float): Used are predictions with at least this IoU with an
            object; the others have no error that could be measured.

    Returns:
        SigmaMap: The map.

    Raises:
        ValueError: If there are too few predictions with standard deviations.
    """
    judged = pairs[(pairs.ious >= iou_thr) & ~np.isnan(pairs.sigmas).any(1)]
    if 4 * len(judged) < _LEAST:
        raise ValueError(
            f'Only {len(judged)} predictions with standard deviations meet an '
            f'object with IoU {iou_thr} or more, which is too few to fit a '
            'map of uncertainty: give more data or a lower --score-thr.')
    fits = [_fit(judged, *units) for units in product(UNITS, UNITS)]
    return min(fits, key=lambda fit: fit[0])[1]


def _fit(pairs: Pairs, raw_unit: str,
         std_unit: str) -> tuple[float, SigmaMap]:
    """The map between two units and its mean negative log-likelihood."""
    whole = dict(frame=pairs.frames, box=np.maximum(pairs.sides, 1.))
    raw = (pairs.sigmas / whole[raw_unit]).ravel()
    squares = np.square(pairs.errors / whole[std_unit]).ravel()
    order = np.argsort(raw, kind='stable')
    bins = np.array_split(order, max(1, min(POINTS, len(raw) // _PER_POINT)))
    centres = np.array([raw[b].mean() for b in bins])
    # Bins of one value are one point.
    points, place = np.unique(centres, return_inverse=True)
    weights = np.bincount(place, [len(b) for b in bins])
    sums = np.bincount(place, [squares[b].sum() for b in bins])
    variances = isotonic(sums / weights, weights)
    # Errors of exactly zero would promise too much.
    least = max(1e-6 * variances.max(), 1e-12)
    std = np.sqrt(np.maximum(variances, least))
    knots = points.tolist(), std.tolist(), raw_unit, std_unit
    sigmas = SigmaMap(*knots).pixels(pairs.sigmas, pairs.frames, pairs.sides)
    scale = np.sqrt(np.square(pairs.errors / sigmas).mean(0))
    scale = np.where(scale > 0, scale, 1.)
    sigmas = sigmas * scale
    found = [(negative_log_likelihood(pairs.errors, sigmas, dof), dof)
             for dof in _DOFS]
    nll, dof = min(found, key=lambda pair: pair[0])
    return nll, SigmaMap(*knots, scale.tolist(),
                         None if dof is None else float(dof))
