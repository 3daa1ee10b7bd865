"""Pictures side by side, with titles."""
from collections.abc import Sequence

import cv2
import numpy as np

from .text import chip_shape, put_chip

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def fit(image: np.ndarray, height: int) -> np.ndarray:
    """Scale a picture to a height, keeping its proportions."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    shrink = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA
                      if shrink else cv2.INTER_LINEAR)


def grid(rows: Sequence[Sequence[np.ndarray]],
         row_titles: Sequence[str] = (),
         column_titles: Sequence[str] = (),
         height: int = 240,
         gap: int = 4) -> np.ndarray:
    """Lay pictures out as a table on white.

    Args:
        rows (Sequence[Sequence[ndarray]]): Pictures (H, W, 3), uint8, BGR;
            rows may differ in length.
        row_titles (Sequence[str]): Text to the left of each row.
        column_titles (Sequence[str]): Text above each column.
        height (int): Height of each picture in pixels. Defaults to 240.
        gap (int): Pixels between pictures. Defaults to 4.

    Returns:
        np.ndarray: The table, uint8, BGR.
    """
    cells = [[fit(image, height) for image in row] for row in rows]
    columns = max(len(row) for row in cells)
    widths = [max(row[c].shape[1] for row in cells if c < len(row))
              for c in range(columns)]
    size = max(11, height // 15)
    left = max((chip_shape(t, size)[1] for t in row_titles), default=0) + gap
    top = (chip_shape('X', size)[0] if column_titles else 0) + gap
    out = np.full((top + len(cells) * (height + gap),
                   left + sum(widths) + columns * gap, 3), 255, np.uint8)
    starts = [left + sum(widths[:c]) + c * gap for c in range(columns)]
    for c, title in enumerate(column_titles):
        width = chip_shape(title, size)[1]
        put_chip(out, title, gap // 2,
                 starts[c] + max(0, (widths[c] - width) // 2), size, BLACK,
                 WHITE)
    for r, row in enumerate(cells):
        y = top + r * (height + gap)
        if row_titles:
            put_chip(out, row_titles[r],
                     y + (height - chip_shape('X', size)[0]) // 2, 0, size,
                     BLACK, WHITE)
        for c, image in enumerate(row):
            out[y:y + height, starts[c]:starts[c] + image.shape[1]] = image
    return out
