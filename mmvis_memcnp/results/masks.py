"""Binary masks to COCO run-length codes and back, a batch at a time."""
from collections.abc import Sequence

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from .rle import RLE


def encode_masks(masks: Tensor | np.ndarray) -> list[RLE]:
    """Compress masks of one frame.

    Args:
        masks (Tensor | np.ndarray): Binary masks of shape (n, H, W), any
            dtype; whatever is not zero is foreground.

    Returns:
        list[dict]: n compressed COCO codes ``{'size': [H, W],
        'counts': bytes}``.

    Raises:
        ValueError: If ``masks`` does not have three dimensions.
    """
    masks = torch.as_tensor(masks)
    if masks.ndim != 3:
        raise ValueError('Masks must have the shape (n, H, W), got '
                         f'{tuple(masks.shape)}.')
    if len(masks) == 0:
        return []
    # COCO codes run down the columns. Transposing on the device leaves the
    # array in Fortran order without a second copy on the CPU.
    columns = (masks != 0).transpose(1, 2).contiguous().to(torch.uint8)
    return coco_mask.encode(columns.cpu().numpy().transpose(2, 1, 0))


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
