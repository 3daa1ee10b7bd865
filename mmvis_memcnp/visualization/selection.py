"""Which points or queries train a head (Fig. 4 of the MemCNP paper)."""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .panels import grid

POSITIVE, NEGATIVE = (0, 215, 255), (230, 120, 30)
IGNORED = (170, 170, 170)


class LevelSelection(NamedTuple):
    """Points of a pyramid level, or the queries of a decoder layer at their
    reference points, and what a selection makes of them.

    Attributes:
        points (np.ndarray): (n, 2) x, y in pixels of the frame.
        positive (np.ndarray): (n, ) bool.
        negative (np.ndarray): (n, ) bool; what is neither is ignored.
        spacing (float): Pixels of the frame between neighbours, which the
            size of the dots depends on.
    """
    points: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    spacing: float


def draw_selections(image: np.ndarray,
                    gt_boxes: np.ndarray,
                    selections: Mapping[str, Sequence[LevelSelection]],
                    titles: Sequence[str],
                    height: int = 300) -> np.ndarray:
    """A row a selection, a column a level.

    Yellow dots are positives, blue ones negatives, hollow grey ones are
    ignored; ground truth boxes are white.

    Args:
        image (np.ndarray): (H, W, 3), uint8, BGR.
        gt_boxes (np.ndarray): (G, 4) xyxy in pixels.
        selections (Mapping[str, Sequence[LevelSelection]]): By name, a level
            each.
        titles (Sequence[str]): Names of the levels.
        height (int): Height of a frame in the figure.

    Returns:
        np.ndarray: The figure, uint8, BGR.
    """
    # Dots a few pixels wide must survive: draw at the size that is shown.
    scale = height / image.shape[0]
    small = cv2.resize(image, None, fx=scale, fy=scale,
                       interpolation=cv2.INTER_AREA)
    for box in np.round(gt_boxes * scale).astype(int).tolist():
        cv2.rectangle(small, box[:2], box[2:], (255, 255, 255), 1)
    rows = [[_draw_level(small, level, scale) for level in levels]
            for levels in selections.values()]
    return grid(rows, list(selections), list(titles), small.shape[0])


def draw_dot(image: np.ndarray, point: Sequence[float], radius: float,
             color: tuple) -> None:
    """A filled dot with a dark rim, in place."""
    where = round(float(point[0]) * 16), round(float(point[1]) * 16)
    for r, shade in ((radius + 1, (0, 0, 0)), (radius, color)):
        cv2.circle(image, where, round(r * 16), shade, -1, cv2.LINE_AA,
                   shift=4)


def _draw_level(image: np.ndarray, level: LevelSelection,
                scale: float) -> np.ndarray:
    out = (image * .75).astype(np.uint8)
    radius = float(np.clip(level.spacing * scale / 6, 1., 5.))
    points = level.points * scale
    ignored = ~(level.positive | level.negative)
    for point in points[level.negative]:
        where = tuple(np.round(point * 16).astype(int).tolist())
        cv2.circle(out, where, round(radius * 16), NEGATIVE, -1, cv2.LINE_AA,
                   shift=4)
    for point in points[ignored]:
        where = tuple(np.round(point * 16).astype(int).tolist())
        cv2.circle(out, where, round(radius * 16), IGNORED, 1, cv2.LINE_AA,
                   shift=4)
    for point in points[level.positive]:
        draw_dot(out, point, radius + 2, POSITIVE)
    return out
