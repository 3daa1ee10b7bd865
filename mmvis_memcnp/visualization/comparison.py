"""Ground truth and systems side by side (Fig. 9 and 10 of the paper)."""
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pycocotools import mask as coco_mask

from ..evaluation.functional.assignment import assign
from ..results.frame_arrays import FrameArrays
from .overlay import draw_frame
from .panels import grid


def draw_comparison(images: Sequence[np.ndarray],
                    rows: Mapping[str, Sequence[FrameArrays]],
                    classes: Sequence[str] = (),
                    frame_names: Sequence[str] = (),
                    score_thr: float = 0.3,
                    height: int = 200) -> np.ndarray:
    """A row a system, a column a frame.

    Identities of the first row, usually the ground truth, give the colours:
    an identity of another row takes the colour of the one that it overlaps
    most, so that exchanged identities show as exchanged colours.

    Args:
        images (Sequence[ndarray]): n frames (H, W, 3), uint8, BGR.
        rows (Mapping[str, Sequence[FrameArrays]]): By name, those of the n
            frames, with masks.
        classes (Sequence[str]): Names of the labels.
        frame_names (Sequence[str]): n column titles.
        score_thr (float): Leave out what scores less.
        height (int): Height of a frame in the figure.

    Returns:
        np.ndarray: The figure, uint8, BGR.
    """
    reference = next(iter(rows.values()))
    cells = []
    for results in rows.values():
        names = match_identities(reference, results)
        line = []
        for image, result in zip(images, results, strict=True):
            ids = [names[i] for i in result.ids.tolist()]
            line.append(draw_frame(
                image, replace(result, ids=np.array(ids, np.int64)), classes,
                score_thr, boxes=False, ellipses=False))
        cells.append(line)
    return grid(cells, list(rows), list(frame_names), height)


def match_identities(reference: Sequence[FrameArrays],
                     other: Sequence[FrameArrays]) -> dict[int, int]:
    """Rename identities after those of a reference.

    Args:
        reference (Sequence[FrameArrays]): Of n frames, with masks.
        other (Sequence[FrameArrays]): Of the same frames.

    Returns:
        dict[int, int]: For each identity of ``other`` that identity of the
        reference which it overlaps most over all frames, one to one; those
        left over get numbers that the reference does not use.
    """
    known = sorted({i for r in reference for i in r.ids.tolist()})
    found = sorted({i for r in other for i in r.ids.tolist()})
    overlap = np.zeros((len(found), len(known)))
    for one, two in zip(reference, other, strict=True):
        if len(one) and len(two):
            iou = coco_mask.iou(two.masks, one.masks, [0] * len(one))
            rows = np.searchsorted(found, two.ids)
            columns = np.searchsorted(known, one.ids)
            overlap[np.ix_(rows, columns)] += iou
    names = {}
    for row, column in zip(*assign(overlap, maximize=True), strict=True):
        if overlap[row, column] > 0:
            names[found[row]] = known[column]
    free = max(known, default=-1) + 1
    for identity in found:
        if identity not in names:
            names[identity], free = free, free + 1
    return names
