"""Binary masks to COCO run-length codes, a batch at a time."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from .rle import RLE


@dataclass(frozen=True)
class Patch:
    """A part of the frame outside of which some masks have no pixel.

    Attributes:
        masks (Tensor): Shape (k, a, b) bool, the masks in this part.
        top (int): First row of the part.
        left (int): First column of the part.
    """
    masks: Tensor
    top: int = 0
    left: int = 0

    def lines(self, height: int) -> tuple[Tensor, int]:
        """The masks in COCO's order: down the columns.

        Between two columns stands a pixel outside of the mask, but where the
        part is as high as the frame, so that a run goes on in the next
        column.

        Args:
            height (int): Of the frame.

        Returns:
            tuple[Tensor, int]: (k, L) bool, whether pixel l is another than
            the one before, and the pixels from a column to the next.
        """
        count, rows, columns = self.masks.shape
        step = rows + (rows < height)
        line = self.masks.new_zeros(count, columns * step + 2)
        line[:, 1:-1].unflatten(1, (columns, step))[..., :rows] = (
            self.masks.transpose(1, 2))
        return line[:, 1:] ^ line[:, :-1], step


def encode_patches(patches: Iterable[Patch],
                   size: tuple[int, int]) -> list[RLE]:
    """Compress masks of one frame, given by their parts.

    What leaves the device are the pixels at which runs begin and end, of all
    masks at once: two waits for a GPU, whatever the number of masks.

    Args:
        patches (Iterable[Patch]): Of some masks each.
        size (tuple[int, int]): (H, W) of the frame.

    Returns:
        list[dict]: A code a mask; see :func:`encode_masks`.
    """
    height, width = size
    changes, layout = [], []
    for patch in patches:
        line, step = patch.lines(height)
        layout += [(line.shape[1], step, patch.top, patch.left)] * len(line)
        changes.append(line.flatten())
    if not layout:
        return []
    found = torch.cat(changes).nonzero()[:, 0].cpu().numpy()
    lengths, steps, tops, lefts = np.array(layout).T
    starts = lengths.cumsum() - lengths
    firsts = np.searchsorted(found, starts)
    each = np.diff(firsts, append=len(found))
    mask = np.repeat(np.arange(len(layout)), each)
    columns, rows = np.divmod(found - starts[mask], steps[mask])
    places = (lefts[mask] + columns) * height + tops[mask] + rows
    # 0, the places and the number of pixels of a mask, then the next one.
    pixels = height * width
    bounds = np.zeros(len(places) + 2 * len(layout), np.int64)
    bounds[np.arange(len(places)) + 2 * mask + 1] = places
    begins = firsts + 2 * np.arange(len(layout))
    ends = begins + each + 1
    bounds[ends] = pixels
    runs = np.diff(bounds)
    # A run of no pixel is written at the start alone.
    ends = np.where((bounds[ends - 1] == pixels) & (each > 0), ends - 1, ends)
    return coco_mask.frPyObjects(
        [dict(counts=runs[begin:end], size=[height, width])
         for begin, end in zip(begins, ends, strict=True)], height, width)


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
    height, width = masks.shape[1:]
    return encode_patches([Patch(masks.bool())], (height, width))
