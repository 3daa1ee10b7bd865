"""Masks and boxes as the few numbers that a browser draws."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as mask_utils

from ..results.rle import RLE


def outlines(code: RLE, fine: float) -> list[list[int]]:
    """Outlines of a mask; filled by the even-odd rule they are the mask.

    Args:
        code: compressed run-length code.
        fine: how far an outline may be from the mask in pixels. Higher: fewer
            points.

    Returns:
        A closed line of x, y, x, y, ... each, outer ones and holes. The unit
        is half a pixel, so that what is one pixel wide has an area.
    """
    mask = mask_utils.decode(code)
    x, y, width, height = map(int, mask_utils.toBbox(code))
    if not width or not height:
        return []
    part = mask[y:y + height, x:x + width].repeat(2, 0).repeat(2, 1)
    lines, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE,
                                offset=(2 * x, 2 * y))
    found = []
    for line in lines:
        simple = cv2.approxPolyDP(line, 2 * fine, True)
        # Of what is thin nothing else would be left.
        simple = line if len(simple) < 3 else simple
        found.append(simple.reshape(-1).astype(int).tolist())
    return found


def track_shapes(segmentations: Sequence[RLE | None], boxes: np.ndarray,
                 spreads: np.ndarray | None, frames: Iterable[int],
                 fine: float) -> dict[int, list[Any]]:
    """What is drawn of a track.

    Args:
        segmentations: T codes or None.
        boxes: float64 (T, 4) x, y, w, h; NaN where absent.
        spreads: float64 (T, 4), standard deviations in pixels; NaN or None
            without.
        frames: those that are shown.
        fine: see :func:`outlines`.

    Returns:
        By frame: outlines, box and standard deviations or None.
    """
    found = {}
    for t in frames:
        code = segmentations[t]
        lines = [] if code is None else outlines(code, fine)
        if not lines or np.isnan(boxes[t]).any():
            continue
        std = None
        if spreads is not None and not np.isnan(spreads[t]).any():
            std = spreads[t].round(1).tolist()
        found[t] = [lines, boxes[t].round(1).tolist(), std]
    return found


def series(values: np.ndarray, digits: int = 2) -> list[float | None]:
    """Numbers as json holds them, NaN as null."""
    return [None if v != v else round(float(v), digits) for v in values]
