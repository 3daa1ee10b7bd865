"""What a model's uncertainty is worth, in numbers.

A failure is a predicted box whose IoU with every object of its frame is below
one half, whatever the classes (so that localisation is judged, not naming).
"""
from __future__ import annotations

import numpy as np

from .calibration import (
    auroc,
    calibration,
    negative_log_likelihood,
    rank_correlation,
    sparsification,
)
from .pairs import Pairs

#: Probabilities of the intervals whose coverage is reported.
INTERVALS = (.5, .8, .9)


def reliability(pairs: Pairs,
                iou_thr: float = .5,
                dof: float | None = None) -> dict[str, float]:
    """What the standard deviations and the scores say about failures.

    As an ordering (the network's ``uncertainties`` count, not their size):

    ``auroc_score``, ``auroc_class_prob``, ``auroc_centerness`` and
    ``auroc_sigma``: chance that a failure looks less certain than a success;
    .5 = uninformative.
    ``rank_sigma``: rank correlation of uncertainty with 1 - IoU;
    ``partial_sigma``: the same given class probability and, where there is
    one, centre-ness: what uncertainty knows that these do not.
    ``ause_score``, ``ause_sigma``: area between the sparsification curve of
    1 - IoU and its bound, in units of the mean; 0 = perfect; ``ause_random``:
    that of an uninformative order.

    As standard deviations of the sides, of predictions that are no failures
    (a box that lies on no object has no error):

    ``coverage_50``, ``coverage_80``, ``coverage_90``: share of errors inside
    the intervals of that probability.
    ``ece``: mean distance of observed to nominal coverage, of 19 intervals
    and four sides; 0 = calibrated.
    ``nll``: mean negative log-likelihood of the errors in pixels.
    ``z_std``: root mean square of error / sigma; below 1 = sigma too large.
    ``sharpness``: mean sigma in pixels; smaller is better at equal ``ece``.

    Args:
        pairs (Pairs): With or without standard deviations.
        iou_thr (float): A prediction fails below this IoU with any object.
        dof (float | None): Of the intervals; see :func:`calibration`.

    Returns:
        dict[str, float]: Those, ``num_pairs`` and ``failures`` (share of
        predictions). NaN without standard deviations, or with nothing to
        judge.
    """
    failed = pairs.ious < iou_thr
    nan = float('nan')
    numbers = dict(num_pairs=float(len(pairs)),
                   failures=float(failed.mean()) if len(pairs) else nan)
    for name, values in (('score', -pairs.scores),
                         ('class_prob', -pairs.class_probs),
                         ('centerness', -pairs.centernesses),
                         ('sigma', pairs.uncertainties)):
        known = ~np.isnan(values)
        numbers[f'auroc_{name}'] = auroc(values[known], failed[known])
    numbers.update(_ordering(pairs), **_deviations(
        pairs[~failed & ~np.isnan(pairs.sigmas).any(1)], dof))
    return numbers


def _ordering(pairs: Pairs) -> dict[str, float]:
    """Correlations and sparsification."""
    nan = float('nan')
    numbers = dict(rank_sigma=nan, partial_sigma=nan, ause_score=nan,
                   ause_sigma=nan, ause_random=nan)
    if len(pairs):
        curve = sparsification(1 - pairs.ious, -pairs.scores)
        numbers.update(ause_score=curve.ause, ause_random=curve.random)
    known = pairs[~np.isnan(pairs.uncertainties)]
    if len(known):
        errors = 1 - known.ious
        given = [values for values in (known.class_probs, known.centernesses)
                 if not np.isnan(values).any()]
        numbers.update(
            rank_sigma=rank_correlation(known.uncertainties, errors),
            partial_sigma=rank_correlation(
                known.uncertainties, errors, *given) if given else nan,
            ause_sigma=sparsification(errors, known.uncertainties).ause)
    return numbers


def _deviations(judged: Pairs, dof: float | None) -> dict[str, float]:
    """Coverage, likelihood and size of the standard deviations."""
    nan = float('nan')
    shares = {f'coverage_{100 * level:.0f}': nan for level in INTERVALS}
    if not len(judged):
        return shares | dict(ece=nan, nll=nan, z_std=nan, sharpness=nan)
    sides = calibration(judged.errors, judged.sigmas, dof=dof)
    few = calibration(judged.errors, judged.sigmas, INTERVALS, dof)
    return dict(
        zip(shares, few.coverage.mean(1).tolist(), strict=True),
        ece=float(sides.error.mean()),
        nll=negative_log_likelihood(judged.errors, judged.sigmas, dof),
        z_std=float(np.sqrt(np.square(sides.z_std).mean())),
        sharpness=float(sides.sharpness.mean()))
