"""From mask values on a network's canvas to masks of the original frame.

Systems differ in the way; each is one function of :data:`WAYS_BACK`, so that
a system names its own and everything behind it is shared.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from .masks import RLE, Patch, encode_patches
from .resizing import Bilinear, Nearest, Places, Steps, run

#: Masks at a time, which bounds the memory of full-size values.
CHUNK = 32


class FrameMeta(TypedDict, total=False):
    """What is known of a frame, by mmdet's names.

    Attributes:
        img_shape: height and width in the network input, first.
        ori_shape: height and width of the original frame, first.
        batch_input_shape: height and width of the padded network input.
        scale_factor: width and height in the input over the original; 1
            where it is missing.
        frame_id: number of the frame in its video.
    """
    img_shape: tuple[int, ...]
    ori_shape: tuple[int, ...]
    batch_input_shape: tuple[int, ...]
    scale_factor: tuple[float, float]
    frame_id: int


@dataclass(frozen=True)
class Canvas:
    """Where mask values lie.

    Attributes:
        input_hw: height and width of the padded network input.
        image_hw: height and width of the frame in it.
        ori_hw: height and width of the original frame.
        scale: width and height of the frame in the input over the original.
        stride: input pixels a mask value.
    """
    input_hw: tuple[int, int]
    image_hw: tuple[int, int]
    ori_hw: tuple[int, int]
    scale: tuple[float, float]
    stride: float

    @classmethod
    def of(cls, meta: FrameMeta, stride: float) -> Canvas:
        """The canvas of a frame.

        Args:
            meta (FrameMeta): ``batch_input_shape``, ``img_shape``,
                ``ori_shape`` and, for :func:`paste`, ``scale_factor``
                (x, y).
            stride (float): Input pixels a mask value.
        """
        scale = meta.get('scale_factor', (1., 1.))
        return cls(_pair(meta['batch_input_shape']), _pair(meta['img_shape']),
                   _pair(meta['ori_shape']), (scale[0], scale[1]), stride)


def _pair(shape: Sequence[int]) -> tuple[int, int]:
    return int(shape[0]), int(shape[1])


Cells = tuple[int, int]


def paste(cells: Cells, canvas: Canvas) -> list[Steps]:
    """Enlarge by the scale of the frame, then cut to its size (SipMask).

    Rounding can leave the enlarged canvas a pixel short; that pixel belongs
    to no mask.
    """
    factors = [canvas.stride / scale for scale in canvas.scale[::-1]]
    after = [math.floor(n * f) for n, f in zip(cells, factors, strict=True)]
    y, x = (Bilinear(n, made, min(made, ori), factor)
            for n, made, ori, factor in zip(
                cells, after, canvas.ori_hw, factors, strict=True))
    return [(y, x)]


def _to_input(cells: Cells, canvas: Canvas) -> Steps:
    """Bilinear to the input, with the padding cut off."""
    y, x = map(Bilinear, cells, canvas.input_hw, canvas.image_hw)
    return y, x


def nearest(cells: Cells, canvas: Canvas) -> list[Steps]:
    """Bilinear to the input, cut the padding off, nearest pixel to the
    original (IDOL, SeqFormer)."""
    y, x = map(Nearest, canvas.image_hw, canvas.ori_hw)
    return [_to_input(cells, canvas), (y, x)]


def bilinear(cells: Cells, canvas: Canvas) -> list[Steps]:
    """Bilinear to the input, cut the padding off, bilinear to the original
    (Mask2Former and what stands on it)."""
    y, x = map(Bilinear, canvas.image_hw, canvas.ori_hw, canvas.ori_hw)
    return [_to_input(cells, canvas), (y, x)]


def resample(cells: Cells, canvas: Canvas) -> list[Steps]:
    """Bilinear in one step, each pixel at its true place.

    Padding and sides that the stride does not divide shift nothing.
    """
    y, x = (Places(n, ori, image / (canvas.stride * n))
            for n, ori, image in zip(
                cells, canvas.ori_hw, canvas.image_hw, strict=True))
    return [(y, x)]


def stretch(cells: Cells, canvas: Canvas) -> list[Steps]:
    """Bilinear from the whole canvas to the original, as the released
    InstanceFormer.

    The canvas counts as the frame: where it is larger (padding, or a side
    that the stride does not divide) masks are shifted by the difference.
    """
    y, x = map(Bilinear, cells, canvas.ori_hw, canvas.ori_hw)
    return [(y, x)]


#: Ways back by name: height and width of the mask values and their canvas to
#: the steps from these values to the pixels of the original frame.
WAYS_BACK: dict[str, Callable[[Cells, Canvas], list[Steps]]] = dict(
    bilinear=bilinear, nearest=nearest, paste=paste, resample=resample,
    stretch=stretch)


@dataclass
class MaskSource:
    """Masks of n instances of a frame, made when they are asked for.

    What is held is small: values on the network's canvas, or a function that
    makes them.

    Args:
        values (Tensor | Callable): Shape (n, h, w), logits or probabilities;
            or a function that takes row numbers (k,) and gives (k, h, w).
        meta (FrameMeta): Sizes of the frame; see :meth:`Canvas.of`.
        way (str): One of :data:`WAYS_BACK`.
        stride (float): Input pixels a value.
        threshold (float): A pixel belongs to the mask if its value exceeds
            this: 0 for logits, 0.5 for probabilities. A higher one makes
            masks smaller. Defaults to 0.
    """
    values: Tensor | Callable[[Tensor], Tensor]
    meta: FrameMeta
    way: str
    stride: float
    threshold: float = 0.

    def encode(self, rows: Tensor) -> list[RLE]:
        """Masks of some instances, at the size of the original frame.

        Args:
            rows (Tensor): Shape (k,) int64.

        Returns:
            list[dict]: k run-length codes; see :func:`~.masks.encode_masks`.
        """
        return encode_patches(
            (patch for patch, _ in self._patches(rows)), self._size)

    def rate(self, rows: Tensor) -> tuple[list[RLE], Tensor]:
        """Masks, and how sure their pixels are; of logits.

        Args:
            rows (Tensor): Shape (k,) int64.

        Returns:
            tuple[list[dict], Tensor]: The masks, and (k, 2) float32: the sum
            of the probabilities of a mask's pixels, and their number.
        """
        patches, sums = [], [torch.zeros((0, 2), device=rows.device)]
        for patch, full in self._patches(rows):
            patches.append(patch)
            probs = full.sigmoid() * patch.masks
            # In double: the same whatever the size of the patch.
            sums.append(torch.stack((
                probs.sum((1, 2), dtype=torch.double).float(),
                patch.masks.sum((1, 2)).float()), 1))
        return encode_patches(patches, self._size), torch.cat(sums)

    @property
    def _size(self) -> tuple[int, int]:
        return _pair(self.meta['ori_shape'])

    @torch.no_grad()
    def _patches(self, rows: Tensor) -> Iterator[tuple[Patch, Tensor]]:
        """Masks and values (n, a, b) of some instances at a time, where they
        can have pixels."""
        canvas = Canvas.of(self.meta, self.stride)
        for some in rows.split(CHUNK):
            if not len(some):
                continue
            values = (self.values[some] if isinstance(self.values, Tensor)
                      else self.values(some)).float()
            height, width = values.shape[1:]
            steps = WAYS_BACK[self.way]((height, width), canvas)
            for part, windows in self._windows(values):
                full, (y, x) = run(values[part], steps, windows)
                yield Patch(full > self.threshold, y.start, x.start), full

    def _windows(self, values: Tensor
                 ) -> Iterator[tuple[slice, tuple[range, range]]]:
        """Cells (n, h, w) outside of which nothing exceeds the threshold.

        On a CPU those of each mask alone: the pixels of its box are most of
        the work. A GPU makes all pixels sooner than it tells which it needs.
        """
        height, width = values.shape[1:]
        if values.device.type != 'cpu':
            yield slice(None), (range(height), range(width))
            return
        # Where all around is the threshold itself, rounding may exceed it.
        above = np.greater(
            values.numpy(), self.threshold - 1e-6 * abs(self.threshold))
        ends = []
        for axis in (2, 1):
            line = above.any(axis)
            ends += [line.argmax(1), line.shape[1] * line.any(1) -
                     line[:, ::-1].argmax(1)]
        for n, (top, bottom, left, right) in enumerate(np.stack(ends, 1)):
            yield slice(n, n + 1), (range(top, bottom), range(left, right))
