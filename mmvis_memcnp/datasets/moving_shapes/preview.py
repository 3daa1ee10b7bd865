"""A contact sheet of a generated data set."""
from pathlib import Path

import cv2
import numpy as np

from .scene import Actor
from .shapes import CLASSES

ROWS, COLUMNS, CELL_WIDTH, GAP = 4, 6, 240, 4


class Preview:
    """Collects a few frames and writes them as one picture.

    A row is a video, a column a moment; the outline of an object has the
    same colour in all frames, and its class is written at it.

    Args:
        videos: Number of videos.
        frames: Frames of a video.
    """

    def __init__(self, videos: int, frames: int) -> None:
        self._rows = _spread(videos, ROWS)
        self._columns = _spread(frames, COLUMNS)
        self._cells: dict[tuple[int, int], np.ndarray] = {}

    def add(self, video: int, t: int, frame: np.ndarray, masks: np.ndarray,
            actors: list[Actor]) -> None:
        """Show a frame, if it is among the chosen ones.

        Args:
            video: Position of the video.
            t: Position of the frame.
            frame: uint8 (H, W, 3), BGR.
            masks: uint8 (H, W, n).
            actors: The n objects.
        """
        if video not in self._rows or t not in self._columns:
            return
        height, width = frame.shape[:2]
        scale = CELL_WIDTH / width
        shape = (CELL_WIDTH, max(1, round(height * scale)))
        cell = cv2.resize(frame, shape, interpolation=cv2.INTER_LINEAR)
        for i, actor in enumerate(actors):
            mask = cv2.resize(
                np.ascontiguousarray(masks[..., i]),
                shape,
                interpolation=cv2.INTER_NEAREST)
            contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP,
                                           cv2.CHAIN_APPROX_NONE)
            if not contours:
                continue
            colour = _colour(i, len(actors))
            cv2.drawContours(cell, contours, -1, colour, 2)
            y, x = (int(v.mean()) for v in np.nonzero(mask))
            _write_text(cell, CLASSES[actor.label], x, y, colour)
        self._cells[video, t] = cell

    def write(self, path: Path) -> None:
        """Write the picture as PNG."""
        cell = next(iter(self._cells.values()))
        height, width = cell.shape[0] + GAP, cell.shape[1] + GAP
        sheet = np.full((GAP + height * len(self._rows),
                         GAP + width * len(self._columns), 3), 255, np.uint8)
        for (video, t), image in self._cells.items():
            y = GAP + height * self._rows.index(video)
            x = GAP + width * self._columns.index(t)
            sheet[y:y + image.shape[0], x:x + image.shape[1]] = image
        data = cv2.imencode('.png', sheet)[1]
        path.write_bytes(data.tobytes())


def _spread(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` different positions, evenly over ``count``."""
    return np.unique(
        np.linspace(0, count - 1, min(count, wanted)).round()).astype(
            int).tolist()


def _colour(index: int, count: int) -> tuple[int, int, int]:
    hsv = np.uint8([[[180 * index // count, 255, 255]]])
    return tuple(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist())


def _write_text(image: np.ndarray, text: str, x: int, y: int,
                colour: tuple[int, int, int]) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.38
    (width, _), _ = cv2.getTextSize(text, font, scale, 1)
    place = (max(1, min(x - width // 2, image.shape[1] - width - 1)), y)
    cv2.putText(image, text, place, font, scale, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, place, font, scale, colour, 1, cv2.LINE_AA)
