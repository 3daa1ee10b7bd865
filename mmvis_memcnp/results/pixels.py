"""From mask values on a network's canvas to masks of the original frame.

Systems differ in the way; each is one function of :data:`WAYS_BACK`, so that
a system names its own and everything behind it is shared.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

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


def paste(values: Tensor, canvas: Canvas) -> Tensor:
    """Enlarge by the scale of the frame, then cut to its size (SipMask)."""
    height, width = canvas.ori_hw
    x, y = canvas.scale
    full = F.interpolate(
        values[None],
        scale_factor=(canvas.stride / y, canvas.stride / x),
        mode='bilinear',
        align_corners=False)[0, :, :height, :width]
    # Rounding can leave the enlarged canvas a pixel short.
    return F.pad(full, (0, width - full.shape[2], 0, height - full.shape[1]),
                 value=-torch.inf)


def nearest(values: Tensor, canvas: Canvas) -> Tensor:
    """Bilinear to the input, cut the padding off, nearest pixel to the
    original (IDOL, SeqFormer)."""
    full = F.interpolate(values[:, None], size=canvas.input_hw,
                         mode='bilinear', align_corners=False)
    image = full[:, :, :canvas.image_hw[0], :canvas.image_hw[1]]
    return F.interpolate(image, size=canvas.ori_hw)[:, 0]


def bilinear(values: Tensor, canvas: Canvas) -> Tensor:
    """Bilinear to the input, cut the padding off, bilinear to the original
    (Mask2Former and what stands on it)."""
    full = F.interpolate(values[:, None], size=canvas.input_hw,
                         mode='bilinear', align_corners=False)
    image = full[:, :, :canvas.image_hw[0], :canvas.image_hw[1]]
    return F.interpolate(image, size=canvas.ori_hw, mode='bilinear',
                         align_corners=False)[:, 0]


def resample(values: Tensor, canvas: Canvas) -> Tensor:
    """Bilinear in one step, each pixel at its true place.

    Padding and sides that the stride does not divide shift nothing.
    """
    axes = []
    for cells, image, ori in zip(values.shape[-2:], canvas.image_hw,
                                 canvas.ori_hw, strict=True):
        pixel = torch.arange(ori, device=values.device) + 0.5
        axes.append(pixel / ori * (image / (canvas.stride * cells)) * 2 - 1)
    grid = torch.stack((axes[1].expand(canvas.ori_hw),
                        axes[0][:, None].expand(canvas.ori_hw)), -1)[None]
    return F.grid_sample(values[None], grid, padding_mode='border',
                         align_corners=False)[0]


def stretch(values: Tensor, canvas: Canvas) -> Tensor:
    """Bilinear from the whole canvas to the original, as the released
    InstanceFormer.

    The canvas counts as the frame: where it is larger (padding, or a side
    that the stride does not divide) masks are shifted by the difference.
    """
    full = F.interpolate(values[:, None], size=canvas.ori_hw,
                         mode='bilinear', align_corners=False)
    return full[:, 0]


#: Ways back by name: (n, h, w) float32 values and their canvas to (n, H, W)
#: values of the original frame's pixels.
WAYS_BACK: dict[str, Callable[[Tensor, Canvas], Tensor]] = dict(
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

    def pixels(self, rows: Tensor) -> Tensor:
        """Masks of some instances.

        Args:
            rows (Tensor): Shape (k,) int64.

        Returns:
            Tensor: Shape (k, H, W) bool, at the size of the original frame.
        """
        parts = [full > self.threshold for full in self._full(rows)]
        if not parts:
            return torch.zeros((0, *_pair(self.meta['ori_shape'])),
                               dtype=torch.bool, device=rows.device)
        return torch.cat(parts)

    def rated(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Masks, and how sure their pixels are; of logits.

        Args:
            rows (Tensor): Shape (k,) int64.

        Returns:
            tuple[Tensor, Tensor]: The masks (k, H, W) bool, and (k, 2): the
            sum of the probabilities of a mask's pixels, and their number.
        """
        masks, sums = [self.pixels(rows[:0])], [torch.zeros(
            (0, 2), device=rows.device)]
        for full in self._full(rows):
            mask = full > self.threshold
            masks.append(mask)
            sums.append(torch.stack((
                (full.sigmoid() * mask).sum((1, 2)), mask.sum((1, 2))), 1))
        return torch.cat(masks), torch.cat(sums)

    def _full(self, rows: Tensor) -> Iterator[Tensor]:
        """Values at the size of the original frame, some at a time."""
        canvas = Canvas.of(self.meta, self.stride)
        for some in rows.split(CHUNK):
            if len(some):
                values = (self.values[some] if isinstance(self.values, Tensor)
                          else self.values(some))
                yield WAYS_BACK[self.way](values.float(), canvas)
