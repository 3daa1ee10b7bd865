"""What uncertainty is worth, as two plots."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .files import replacing

_SIDES = ('x1', 'y1', 'x2', 'y2')


def plot_reliability(path: str | Path,
                     fractions: np.ndarray,
                     curves: Mapping[str, np.ndarray],
                     levels: np.ndarray | None = None,
                     coverage: np.ndarray | None = None) -> None:
    """Plot sparsification beside the coverage of predicted intervals.

    Args:
        path (str | Path): Picture to write (png, pdf or svg).
        fractions (np.ndarray): (F,) shares of predictions that are dropped.
        curves (Mapping[str, np.ndarray]): (F,) mean error of what is left,
            by what was dropped first.
        levels (np.ndarray | None): (L,) nominal probabilities of central
            intervals. None: no standard deviations, one plot alone.
        coverage (np.ndarray | None): (L, 4) observed shares of x1, y1, x2
            and y2.
    """
    both = levels is not None and coverage is not None
    figure = Figure(figsize=(9 if both else 4.8, 4.2), layout='constrained')
    axes = figure.subplots(1, 1 + both, squeeze=False)[0]
    for name, values in curves.items():
        axes[0].plot(fractions, values, label=name, linewidth=1.6)
    axes[0].set_xlabel('share of predictions dropped')
    axes[0].set_ylabel('mean of 1 - IoU of the rest')
    if levels is not None and coverage is not None:
        axes[1].plot([0, 1], [0, 1], color='.6', linestyle='--',
                     label='calibrated')
        for name, values in zip(_SIDES, coverage.T, strict=True):
            axes[1].plot(levels, values, label=name, linewidth=1.6)
        axes[1].set_xlabel('nominal probability of the interval')
        axes[1].set_ylabel('share of errors inside')
    for axis in axes:
        axis.grid(alpha=.3)
        axis.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
