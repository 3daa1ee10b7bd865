"""Tracks of run-length codes: areas, tight boxes.

A track is a list of compressed COCO codes, one a frame, with None where the
object is absent; see :func:`~mmvis_memcnp.results.rle.to_rle`.
"""
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as mask_utils

from ...results.rle import RLE


def areas(track: Sequence[RLE | None]) -> np.ndarray:
    """Mask areas of a track.

    Args:
        track: T codes or None.

    Returns:
        int64 (T,) pixels, 0 where the object is absent.
    """
    found = np.zeros(len(track), np.int64)
    present = [t for t, rle in enumerate(track) if rle]
    if present:
        found[present] = mask_utils.area([track[t] for t in present])
    return found


def mean_area(per_frame: Sequence[float | None]) -> float:
    """Mean of the non-zero areas of a track, 0 if there is none."""
    seen = [a for a in per_frame if a]
    return float(np.mean(np.asarray(seen))) if seen else 0.


def tight_boxes(track: Sequence[RLE | None]) -> np.ndarray:
    """Tight boxes around the masks of a track.

    Args:
        track: T codes or None.

    Returns:
        float64 (T, 4): x, y, w, h in pixels (w = xmax - xmin + 1); NaN where
        the object is absent or its mask is empty.
    """
    found = np.full((len(track), 4), np.nan)
    present = [t for t, rle in enumerate(track) if rle]
    if present:
        boxes = mask_utils.toBbox([track[t] for t in present])
        boxes[(boxes[:, 2:] <= 0).any(1)] = np.nan
        found[present] = boxes
    return found


def stack_boxes(tracks: Sequence[Sequence[RLE | None]],
                frames: int) -> np.ndarray:
    """Tight boxes of several tracks: float64 (n, frames, 4), see above."""
    found = np.full((len(tracks), frames, 4), np.nan)
    for row, track in zip(found, tracks, strict=False):
        row[:len(track)] = tight_boxes(track[:frames])
    return found
