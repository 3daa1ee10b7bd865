"""RoIAlign with average pooling, all boxes of a size class at once."""
from collections.abc import Iterator

import torch
from torch import Tensor

from .sampling import sample, sample_backward, working_dtype


def _boxes(rois: Tensor, scale: float, aligned: bool) -> Tensor:
    """Left, top, width and height of each box on the map, (n, 4)."""
    rois = rois.to(working_dtype(rois))
    corner = rois[:, 1:3] * scale - (0.5 if aligned else 0.)
    size = (rois[:, 3:5] - rois[:, 1:3]) * scale
    if not aligned:
        size = size.clamp(min=1)
    return torch.cat((corner, size), dim=1)


def _axis(start: Tensor, size: Tensor, bins: int, samples: int,
          length: int) -> tuple[Tensor, Tensor]:
    """Sampling positions along one axis.

    Returns:
        tuple[Tensor, Tensor]: (n, bins*samples) positions, and which of them
        lie within a pixel of the map (mmcv reads zero beyond).
    """
    step = torch.arange(bins * samples, device=start.device) + 0.5
    at = start[:, None] + size[:, None] * step / (bins * samples)
    return at, (at >= -1) & (at <= length)


def _groups(rois: Tensor, boxes: Tensor, shape: tuple[int, int],
            sampling_ratio: int) -> Iterator[tuple[int, int, int, Tensor]]:
    """Boxes of one image with the same number of samples a bin.

    Yields:
        tuple: Image, samples down, samples across, (k,) indices of the boxes.
    """
    if sampling_ratio > 0:
        samples = torch.full_like(boxes[:, :2], sampling_ratio)
    else:
        bins = boxes.new_tensor(shape)
        samples = (boxes[:, [3, 2]] / bins).ceil()
    key = torch.cat((rois[:, :1].to(samples), samples), dim=1).long()
    distinct, member = key.unique(dim=0, return_inverse=True)
    for i, (image, down, across) in enumerate(distinct.tolist()):
        if down > 0 and across > 0:  # else an empty box: zeros
            yield image, down, across, (member == i).nonzero()[:, 0]


def _points(box: Tensor, shape: tuple[int, int], down: int, across: int,
            size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and validity of all samples, each (1, k*ph*down, pw*across)."""
    y, y_ok = _axis(box[:, 1], box[:, 3], shape[0], down, size[0])
    x, x_ok = _axis(box[:, 0], box[:, 2], shape[1], across, size[1])
    rows = (len(box), y.shape[1], x.shape[1])
    y, x = y[:, :, None].expand(rows), x[:, None].expand(rows)
    valid = y_ok[:, :, None] & x_ok[:, None]
    flat = (1, -1, rows[2])
    return x.reshape(flat), y.reshape(flat), valid.reshape(flat)


def _check(pool_mode: int) -> None:
    if pool_mode != 1:
        raise NotImplementedError(
            'RoIAlign with pool_mode="max" needs mmcv\'s compiled operators; '
            'use pool_mode="avg" or run `make ops`.')


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor,
                      argmax_y: Tensor, argmax_x: Tensor, *,
                      aligned_height: int, aligned_width: int,
                      spatial_scale: float, sampling_ratio: int,
                      pool_mode: int, aligned: bool) -> None:
    """Write the pooled boxes into ``output`` (n, C, ph, pw), given as zeros.

    Args:
        input (Tensor): (N, C, H, W).
        rois (Tensor): (n, 5): image index and xyxy in pixels of the image.
    """
    _check(pool_mode)
    shape = (aligned_height, aligned_width)
    maps = input.to(working_dtype(input))
    boxes = _boxes(rois, spatial_scale, aligned)
    for image, down, across, index in _groups(rois, boxes, shape,
                                              sampling_ratio):
        x, y, valid = _points(boxes[index], shape, down, across,
                              (maps.shape[2], maps.shape[3]))
        values = sample(maps[image, None], x, y, 'border') * valid
        values = values.view(-1, len(index), shape[0], down, shape[1], across)
        output[index] = values.mean((3, 5)).transpose(0, 1).to(output.dtype)


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor,
                       argmax_x: Tensor, grad_input: Tensor, *,
                       aligned_height: int, aligned_width: int,
                       spatial_scale: float, sampling_ratio: int,
                       pool_mode: int, aligned: bool) -> None:
    """Write the gradient of the map into ``grad_input`` (N, C, H, W)."""
    _check(pool_mode)
    shape = (aligned_height, aligned_width)
    grad_maps = torch.zeros_like(grad_input, dtype=working_dtype(grad_input))
    boxes = _boxes(rois, spatial_scale, aligned)
    for image, down, across, index in _groups(rois, boxes, shape,
                                              sampling_ratio):
        x, y, valid = _points(boxes[index], shape, down, across,
                              (grad_maps.shape[2], grad_maps.shape[3]))
        grad = grad_output[index].to(grad_maps.dtype).transpose(0, 1)
        grad = grad[:, :, :, None, :, None] / (down * across)
        grad = grad.expand(-1, -1, -1, down, -1, across)
        grad = grad.reshape(1, len(grad), *x.shape[1:]) * valid
        # The values of the map do not enter the gradient of the map.
        zeros = torch.zeros_like(grad_maps[image, None])
        grad_maps[image] += sample_backward(grad, zeros, x, y, 'border')[0][0]
    grad_input.copy_(grad_maps)
