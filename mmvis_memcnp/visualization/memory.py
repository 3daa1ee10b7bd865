"""What the memory returns for a point (Fig. 7 of the MemCNP paper)."""
from collections.abc import Sequence

import cv2
import numpy as np

from .colors import color_of
from .panels import grid
from .selection import draw_dot


def draw_memory(image: np.ndarray,
                point: tuple[float, float],
                boxes: np.ndarray,
                scores: Sequence[float],
                height: int = 240) -> np.ndarray:
    """The query, then each retrieved item as a box around the query.

    Args:
        image (np.ndarray): (H, W, 3), uint8, BGR.
        point (tuple[float, float]): x, y of the query in pixels.
        boxes (np.ndarray): (k, 4) xyxy in pixels, most similar first; what
            lies outside the frame is cut off.
        scores (Sequence[float]): k similarities.
        height (int): Height of a frame in the figure.

    Returns:
        np.ndarray: k + 1 frames in a row.
    """
    cells = [image.copy()]
    for number, box in enumerate(np.round(boxes).astype(int)):
        cell = image.copy()
        limit = np.array([image.shape[1], image.shape[0]] * 2) - 1
        x1, y1, x2, y2 = np.clip(box, 0, limit).tolist()
        line = max(2, image.shape[0] // 120)
        cv2.rectangle(cell, (x1, y1), (x2, y2), (0, 0, 0), line + 2)
        cv2.rectangle(cell, (x1, y1), (x2, y2), color_of(number), line)
        cells.append(cell)
    for cell in cells:
        draw_dot(cell, point, max(3, image.shape[0] // 60), (0, 255, 255))
    titles = ['query'] + [f'top {i}: {s:.3f}' for i, s in enumerate(scores, 1)]
    return grid([cells], column_titles=titles, height=height)
