"""COCO run-length codes to binary masks, and to what json holds."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from .rle import RLE


def decode_masks(rles: Sequence[RLE], size: tuple[int, int]) -> np.ndarray:
    """Expand run-length codes of one frame.

    Args:
        rles (Sequence[dict]): n compressed COCO codes; ``counts`` may be
            bytes or str.
        size (tuple[int, int]): (H, W), the shape when there is no code.

    Returns:
        np.ndarray: Masks of shape (n, H, W), bool, C order.
    """
    if len(rles) == 0:
        return np.zeros((0, *size), dtype=bool)
    masks = coco_mask.decode(list(rles))
    return np.ascontiguousarray(masks.transpose(2, 0, 1)).astype(bool)


def rle_to_json(rle: RLE) -> dict:
    """The same code with ``counts`` as a str, as results.json wants it."""
    counts: bytes | str = rle['counts']
    if isinstance(counts, bytes):  # else of a json
        counts = counts.decode('utf-8')
    return dict(size=[int(side) for side in rle['size']], counts=counts)
