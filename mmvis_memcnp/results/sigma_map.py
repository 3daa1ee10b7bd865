"""From what a network calls its uncertainty to standard deviations.

What a network is trained to predict orders its boxes, but has the size of its
training target, not that of its errors. A map, fitted on data with
annotations (``evaluation/functional/sigma_fit.py``), gives it that size. It is
stored in the ``meta`` of a checkpoint; a model that has one gives mapped
standard deviations wherever it gives any.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: What a standard deviation may be a fraction of: the width (x) or height (y)
#: of the frame or of the predicted box.
UNITS = ('frame', 'box')
#: Where a checkpoint's ``meta`` and a model's config hold the settings.
KEY = 'sigma_map'


class SigmaMap:
    """A monotone map of predicted standard deviations to those of the errors.

    Piecewise linear between its points and constant outside, the same for all
    four sides but for a factor each.

    Args:
        raw (Sequence[float]): (P,) predicted values, strictly ascending.
        std (Sequence[float]): (P,) standard deviation of the error there,
            positive, never descending.
        raw_unit (str): Of :data:`UNITS`: what ``raw`` is a fraction of.
        std_unit (str): The same of ``std``.
        sides (Sequence[float]): (4,) positive factors of ``std`` for x1, y1,
            x2 and y2. Defaults to 1 each.
        dof (float | None): Degrees of freedom of the Student's t, scaled to
            variance 1, that errors over their standard deviations follow;
            above 2, lower = more outliers. None: a normal distribution.

    Raises:
        ValueError: If the points are no such map or an option is unknown.
    """

    def __init__(self,
                 raw: Sequence[float],
                 std: Sequence[float],
                 raw_unit: str = 'frame',
                 std_unit: str = 'frame',
                 sides: Sequence[float] = (1., 1., 1., 1.),
                 dof: float | None = None) -> None:
        self.raw, self.std = np.asarray(raw, float), np.asarray(std, float)
        if self.raw.ndim != 1 or self.raw.shape != self.std.shape or \
                not len(self.raw) or not np.isfinite([raw, std]).all():
            raise ValueError('A sigma_map needs as many std as raw, finite '
                             'and at least one.')
        if (np.diff(self.raw) <= 0).any() or (np.diff(self.std) < 0).any() \
                or self.std[0] <= 0:
            raise ValueError('The raw of a sigma_map must ascend, its std be '
                             'positive and never descend.')
        if raw_unit not in UNITS or std_unit not in UNITS:
            raise ValueError(f'The units of a sigma_map are {raw_unit!r} and '
                             f'{std_unit!r}; use {" or ".join(UNITS)}.')
        if dof is not None and not 2 < dof < math.inf:
            raise ValueError(f'dof of a sigma_map must be above 2 or None, '
                             f'got {dof}.')
        self.sides = np.asarray(sides, float)
        if self.sides.shape != (4, ) or not (
                np.isfinite(self.sides) & (self.sides > 0)).all():
            raise ValueError('The sides of a sigma_map are four positive '
                             f'factors, got {sides}.')
        self.raw_unit, self.std_unit, self.dof = raw_unit, std_unit, dof

    def settings(self) -> dict[str, Any]:
        """The arguments, plain numbers and strings."""
        return dict(raw=self.raw.tolist(), std=self.std.tolist(),
                    raw_unit=self.raw_unit, std_unit=self.std_unit,
                    sides=self.sides.tolist(), dof=self.dof)

    def pixels(self, sigmas: np.ndarray, frames: np.ndarray,
               sides: np.ndarray) -> np.ndarray:
        """Map values in pixels.

        Args:
            sigmas (np.ndarray): (N, 4) predicted, of x1, y1, x2, y2; NaN
                stays.
            frames (np.ndarray): (N, 4) width, height, width, height of the
                frame.
            sides (np.ndarray): (N, 4) the same of the predicted box.

        Returns:
            np.ndarray: float64 (N, 4) standard deviations.
        """
        # A box without width has an error all the same.
        whole = dict(frame=frames, box=np.maximum(sides, 1.))
        raw = sigmas / whole[self.raw_unit]
        return np.interp(raw, self.raw, self.std) * (
            whole[self.std_unit] * self.sides)

    def __call__(self, sigmas: np.ndarray, boxes: np.ndarray,
                 shape: tuple[int, int]) -> np.ndarray:
        """Map fractions of the frame.

        Args:
            sigmas (np.ndarray): (n, 4) predicted, of x1, y1, x2, y2.
            boxes (np.ndarray): (n, 4) the boxes, xyxy in pixels.
            shape (tuple[int, int]): (H, W) of the frame.

        Returns:
            np.ndarray: float64 (n, 4) standard deviations.
        """
        frame = np.tile(np.array(shape[::-1], float), (len(boxes), 2))
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        return self.pixels(sigmas * frame, frame, sides) / frame


def adopt_sigma_map(cfg: dict, checkpoint: Mapping[str, Any]) -> None:
    """Let the model of a config have the map of its checkpoint.

    Args:
        cfg (dict): Whole config, also a ``Config``; changed in place, unless
            its model says ``sigma_map`` itself (None: none).
        checkpoint (Mapping): The loaded file.
    """
    found = (checkpoint.get('meta') or {}).get(KEY)
    if found is not None and KEY not in cfg['model']:
        cfg['model'][KEY] = dict(found)
