"""How honest predicted standard deviations are.

A prediction (mu, sigma) is honest if its error falls into the central interval
of probability p in a share p of all cases (Kuleshov et al., 2018), and useful
if dropping the least certain predictions lowers the mean error as fast as
dropping the worst ones would (Ilg et al., 2018).
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVELS = tuple(np.round(np.linspace(.05, .95, 19), 2))


@dataclass
class Calibration:
    """Coverage of predicted intervals.

    Attributes:
        levels: (L,) nominal probabilities of the central intervals.
        coverage: (L, K) observed shares, one column a quantity (x1, y1, x2,
            y2 for boxes).
        error: (K,) mean of ``|coverage - level|``; 0 = calibrated.  Above the
            diagonal sigma is too large, below it too small.
        sharpness: (K,) mean sigma; smaller is better at equal error.
        z_std: (K,) root mean square of error / sigma; 1 = calibrated.
    """
    levels: np.ndarray
    coverage: np.ndarray
    error: np.ndarray
    sharpness: np.ndarray
    z_std: np.ndarray


def calibration(errors: np.ndarray,
                sigmas: np.ndarray,
                levels: Sequence[float] = LEVELS,
                dof: float | None = None) -> Calibration:
    """Compare errors with the predicted standard deviations.

    Args:
        errors: (N, K) predicted minus true values, in the unit of sigma.
        sigmas: (N, K) positive standard deviations.
        levels: nominal probabilities in (0, 1).
        dof: the intervals are those of a Student's t of so many degrees of
            freedom, above 2, with standard deviation sigma; None: of a
            normal distribution.

    Returns:
        The curves and their summaries, one a column.

    Raises:
        ValueError: if there is no pair, shapes differ or a sigma is not
            positive.
    """
    errors, sigmas = np.asarray(errors, float), np.asarray(sigmas, float)
    if errors.shape != sigmas.shape or errors.ndim != 2 or not len(errors):
        raise ValueError(f'errors {errors.shape} and sigmas {sigmas.shape} '
                         'must be equal, (N, K) with N > 0.')
    if not (sigmas > 0).all():
        raise ValueError('every sigma must be positive.')
    nominal = np.asarray(levels, float)
    z = np.abs(errors) / sigmas
    # central interval of probability p: |z| <= the (1 + p) / 2 quantile
    tails = (1 + nominal) / 2
    # Here, because SciPy takes time to load.
    from scipy.special import ndtri, stdtrit
    limits = ndtri(tails) if dof is None else stdtrit(dof, tails) * np.sqrt(
        (dof - 2) / dof)
    coverage = np.stack([(z <= limit).mean(0) for limit in limits])
    return Calibration(nominal, coverage,
                       np.abs(coverage - nominal[:, None]).mean(0),
                       sigmas.mean(0), np.sqrt(np.square(z).mean(0)))


def negative_log_likelihood(errors: np.ndarray,
                            sigmas: np.ndarray,
                            dof: float | None = None) -> float:
    """How unlikely errors are under predicted distributions.

    Args:
        errors: any shape, predicted minus true values.
        sigmas: the same shape, positive standard deviations.
        dof: see :func:`calibration`.

    Returns:
        Mean negative logarithm of the density, in nats; lower is better. It
        depends on the unit of the errors.
    """
    squares = np.square(errors / sigmas)
    if dof is None:
        nll = squares / 2 + np.log(2 * np.pi) / 2
    else:
        from scipy.special import gammaln
        nll = (dof + 1) / 2 * np.log1p(squares / (dof - 2)) + np.log(
            np.pi * (dof - 2)) / 2 + gammaln(dof / 2) - gammaln((dof + 1) / 2)
    return float((nll + np.log(sigmas)).mean())


def binned_spread(errors: np.ndarray,
                  sigmas: np.ndarray,
                  bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and observed spread of errors, by the size of sigma.

    Args:
        errors: any shape, N numbers, predicted minus true values.
        sigmas: the same shape, positive standard deviations.
        bins: of equal shares of N; fewer if N is smaller.

    Returns:
        Root mean squares (bins,) of sigma, ascending, and of the error; equal
        if calibrated (Levi et al., 2019).
    """
    errors, sigmas = np.ravel(errors), np.ravel(sigmas)
    order = np.argsort(sigmas, kind='stable')
    parts = np.array_split(order, min(bins, len(order)))
    predicted, observed = (
        np.array([np.sqrt(np.square(values[part]).mean()) for part in parts])
        for values in (sigmas, errors))
    return predicted, observed


@dataclass
class Sparsification:
    """Mean error of what is left when the least certain are dropped.

    Attributes:
        fractions: (F,) share that is dropped.
        by_uncertainty: (F,) mean error left when dropping by uncertainty.
        by_error: (F,) the same when dropping by the error itself: a bound.
        ause: area between the two curves divided by the mean error of all;
            0 = uncertainty orders like error.
        random: ``ause`` of an uninformative uncertainty (its expectation).
    """
    fractions: np.ndarray
    by_uncertainty: np.ndarray
    by_error: np.ndarray
    ause: float
    random: float


def sparsification(errors: np.ndarray,
                   uncertainties: np.ndarray,
                   fractions: Sequence[float] | None = None
                   ) -> Sparsification:
    """Does uncertainty point at the errors?

    Args:
        errors: (N,) non-negative errors, such as 1 - IoU with the truth.
        uncertainties: (N,) one number each, such as the mean sigma of a box.
        fractions: shares to drop, ascending in [0, 1); 0, .05, ..., .95 if
            None.

    Returns:
        The two curves and the area between them.

    Raises:
        ValueError: if there is nothing to order or shapes differ.
    """
    errors = np.asarray(errors, float)
    uncertainties = np.asarray(uncertainties, float)
    if errors.shape != uncertainties.shape or errors.ndim != 1 or not len(
            errors):
        raise ValueError(f'errors {errors.shape} and uncertainties '
                         f'{uncertainties.shape} must be equal, (N,), N > 0.')
    shares = np.linspace(0, .95, 20) if fractions is None else np.asarray(
        fractions, float)
    keep = np.maximum(1, np.ceil((1 - shares) * len(errors) - 1e-9)).astype(
        int)
    curves: dict[str, np.ndarray] = {}
    for name, key in (('uncertainty', uncertainties), ('error', errors)):
        ordered = errors[np.argsort(key, kind='stable')]  # surest first
        curves[name] = (np.cumsum(ordered) / np.arange(1, len(errors) + 1))[
            keep - 1]
    scale = errors.mean() or 1.
    return Sparsification(
        shares, curves['uncertainty'], curves['error'],
        float(_area(curves['uncertainty'] - curves['error'], shares) / scale),
        float(_area(errors.mean() - curves['error'], shares) / scale))


def ranks(values: np.ndarray) -> np.ndarray:
    """Place of each value in ascending order; equal ones share the mean.

    Args:
        values (np.ndarray): (N,) without NaN.

    Returns:
        np.ndarray: float64 (N,), from 1 on.
    """
    _, place, count = np.unique(np.asarray(values, float),
                                return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def rank_correlation(first: np.ndarray,
                     second: np.ndarray,
                     *given: np.ndarray) -> float:
    """Spearman's rank correlation of two things, others held constant.

    Args:
        first (np.ndarray): (N,) without NaN.
        second (np.ndarray): (N,) without NaN.
        given (np.ndarray): each (N,); what can be said of the ranks of both
            by a linear function of the ranks of these is taken out first
            (partial correlation). None: the plain one.

    Returns:
        float: In [-1, 1]; NaN if there is nothing left of one of them.
    """
    if len(first) < 2:
        return float('nan')
    known = np.stack([np.ones(len(first)), *map(ranks, given)], 1)
    both = np.stack([ranks(first), ranks(second)], 1)
    rest = both - known @ np.linalg.lstsq(known, both, rcond=None)[0]
    spread = np.sqrt(np.square(rest).sum(0))
    if (spread <= 1e-9 * len(first) * np.sqrt(len(first))).any():
        return float('nan')
    return float(rest[:, 0] @ rest[:, 1] / spread.prod())


def auroc(uncertainties: np.ndarray, failed: np.ndarray) -> float:
    """Area under the ROC curve: does uncertainty tell failures?

    Args:
        uncertainties (np.ndarray): (N,) one number each, without NaN.
        failed (np.ndarray): bool (N,).

    Returns:
        float: Chance that a failure is less certain than a success, ties
        counting one half; .5 = uninformative, NaN without a failure or
        without a success.
    """
    failed = np.asarray(failed, bool)
    failures = int(failed.sum())
    pairs = failures * (len(failed) - failures)
    if not pairs:
        return float('nan')
    wins = ranks(uncertainties)[failed].sum() - failures * (failures + 1) / 2
    return float(wins / pairs)


def _area(heights: np.ndarray, at: np.ndarray) -> float:
    """Trapezoidal rule (its NumPy name differs between 1.x and 2.x)."""
    return float(((heights[1:] + heights[:-1]) / 2 * np.diff(at)).sum())
