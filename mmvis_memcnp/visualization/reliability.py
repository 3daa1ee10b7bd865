"""What uncertainty is worth, as plots."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .files import replacing

_SIDES = ('x1', 'y1', 'x2', 'y2')


def plot_reliability(path: str | Path,
                     fractions: np.ndarray,
                     curves: Mapping[str, np.ndarray],
                     levels: np.ndarray | None = None,
                     coverage: np.ndarray | None = None,
                     spread: tuple[np.ndarray, np.ndarray] | None = None
                     ) -> None:
    """Plot sparsification beside what standard deviations promise and keep.

    Args:
        path (str | Path): Picture to write (png, pdf or svg).
        fractions (np.ndarray): (F,) shares of predictions that are dropped.
        curves (Mapping[str, np.ndarray]): (F,) mean error of what is left,
            by what was dropped first.
        levels (np.ndarray | None): (L,) nominal probabilities of central
            intervals. None: no standard deviations, one plot alone.
        coverage (np.ndarray | None): (L, 4) observed shares of x1, y1, x2
            and y2.
        spread (tuple | None): Predicted and observed spread of the errors,
            (B,) pixels each.
    """
    drawn = 1 + (levels is not None) + (spread is not None)
    figure = Figure(figsize=(.3 + 4.5 * drawn, 4.2), layout='constrained')
    axes = list(figure.subplots(1, drawn, squeeze=False)[0])
    _plot_sparsification(axes[0], fractions, curves)
    if levels is not None and coverage is not None:
        _plot_coverage(axes[1], levels, coverage)
    if spread is not None:
        _plot_spread(axes[-1], *spread)
    for axis in axes:
        axis.grid(alpha=.3)
        axis.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _plot_sparsification(axis: Axes, fractions: np.ndarray,
                         curves: Mapping[str, np.ndarray]) -> None:
    for name, values in curves.items():
        axis.plot(fractions, values, label=name, linewidth=1.6)
    axis.set_xlabel('share of predictions dropped')
    axis.set_ylabel('mean of 1 - IoU of the rest')


def _plot_coverage(axis: Axes, levels: np.ndarray,
                   coverage: np.ndarray) -> None:
    axis.plot([0, 1], [0, 1], color='.6', linestyle='--', label='calibrated')
    for name, values in zip(_SIDES, coverage.T, strict=True):
        axis.plot(levels, values, label=name, linewidth=1.6)
    axis.set_xlabel('nominal probability of the interval')
    axis.set_ylabel('share of errors inside')


def _plot_spread(axis: Axes, predicted: np.ndarray,
                 observed: np.ndarray) -> None:
    ends = [0, max(predicted.max(), observed.max()) * 1.05]
    axis.plot(ends, ends, color='.6', linestyle='--', label='calibrated')
    axis.plot(predicted, observed, 'o-', label='a tenth of the sides each',
              linewidth=1.6)
    axis.set_xlabel('predicted standard deviation of a side in pixels')
    axis.set_ylabel('root mean square of the error in pixels')
