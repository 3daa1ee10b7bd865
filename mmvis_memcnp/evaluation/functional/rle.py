"""Tracks of run-length codes: areas, tight boxes, overlaps.

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


def _sizes(tracks: Sequence[Sequence[RLE | None]],
           frames: int) -> np.ndarray:
    """Frame sizes (n, frames) coded as one integer; -1 absent, -2 ended."""
    found = np.full((len(tracks), frames), -2, np.int64)
    for row, track in zip(found, tracks, strict=False):
        for t, rle in enumerate(track[:frames]):
            row[t] = rle['size'][0] << 32 | rle['size'][1] if rle else -1
    return found


def intersections(
        tracks: Sequence[Sequence[RLE | None]],
        others: Sequence[Sequence[RLE | None]], track_areas: np.ndarray,
        other_areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over frames of mask intersections and unions of track pairs.

    With its crowd flag the run-length IoU is ``|p & g| / |p|``, so one call
    a frame gives every exact intersection of the frame: no mask is decoded,
    merged or encoded again.  Frames are paired as by ``zip``: the shorter of
    two tracks ends the sum.

    Args:
        tracks: D tracks of codes or None.
        others: G tracks of codes or None.
        track_areas: int64 (D, T), see `areas`, zero padded.
        other_areas: int64 (G, T), the same.

    Returns:
        int64 (D, G) intersections and unions in pixels.

    Raises:
        ValueError: if two codes of a frame differ in size; the official
            evaluator lets the frame add nothing, without a word.
    """
    inter = np.zeros((len(tracks), len(others)), np.int64)
    union = np.zeros_like(inter)
    frames = min(track_areas.shape[1], other_areas.shape[1])
    sizes, other_sizes = _sizes(tracks, frames), _sizes(others, frames)
    for t in range(frames):
        x, y = sizes[:, t, None], other_sizes[None, :, t]
        clash = np.argwhere((x != y) & (x >= 0) & (y >= 0))
        if len(clash):
            i, j = clash[0].tolist()
            raise ValueError(
                f'a predicted mask of frame {t} has the size '
                f'{tracks[i][t]["size"]}, but the ground truth '
                f'{others[j][t]["size"]} (height, width): masks must be of '
                'the size of the video.')
        fits = (x > -2) & (y > -2)  # neither has ended
        union += fits * (track_areas[:, t, None] + other_areas[None, :, t])
        rows = np.flatnonzero(track_areas[:, t]).tolist()
        columns = np.flatnonzero(other_areas[:, t]).tolist()
        if not (rows and columns):
            continue
        share = mask_utils.iou([tracks[i][t] for i in rows],
                               [others[j][t] for j in columns],
                               [True] * len(columns))
        cell = np.ix_(rows, columns)
        common = np.rint(share * track_areas[rows, t, None]).astype(np.int64)
        common *= fits[cell]
        inter[cell] += common
        union[cell] -= common
    return inter, union
