"""Deformable convolution, v1 and modulated, as sampling and one product.

Shapes: N images, C input and O output channels, K = kernel_h * kernel_w taps,
D offset groups (``deformable_group``), G convolution groups, (H, W) input and
(h, w) output map. ``offset`` is (N, D*K*2, h, w), a (dy, dx) pair a tap;
``mask`` is (N, D*K, h, w). The argument names of the registered functions are
mmcv's own. All write into their output arguments, as the compiled ones do.
"""
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .sampling import sample, sample_backward, working_dtype


class Geometry(NamedTuple):
    """Kernel, stride, padding and dilation as (rows, columns) pairs."""
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int

    @classmethod
    def plain(cls, args: dict[str, Any]) -> 'Geometry':
        """From the keywords that mmcv's first version passes."""
        return cls((args['kH'], args['kW']), (args['dH'], args['dW']),
                   (args['padH'], args['padW']),
                   (args['dilationH'], args['dilationW']), args['group'],
                   args['deformable_group'])

    @classmethod
    def modulated(cls, args: dict[str, Any]) -> 'Geometry':
        """From the keywords that mmcv's modulated version passes."""
        return cls((args['kernel_h'], args['kernel_w']),
                   (args['stride_h'], args['stride_w']),
                   (args['pad_h'], args['pad_w']),
                   (args['dilation_h'], args['dilation_w']), args['group'],
                   args['deformable_group'])


def _positions(offset: Tensor, geo: Geometry) -> tuple[Tensor, Tensor]:
    """Where the taps read, in pixels.

    Returns:
        tuple[Tensor, Tensor]: x and y, each (N*D, K*h, w).
    """
    batch, _, height, width = offset.shape
    rows, cols = geo.kernel
    moved = offset.to(working_dtype(offset)).reshape(
        batch * geo.offset_groups, rows, cols, 2, height, width)

    def regular(size: int, taps: int, axis: int) -> Tensor:
        """(taps, size) positions of an undeformed convolution."""
        out = torch.arange(size, device=offset.device) * geo.stride[axis]
        tap = torch.arange(taps, device=offset.device) * geo.dilation[axis]
        return out[None] + tap[:, None] - geo.padding[axis]

    y = moved[:, :, :, 0] + regular(height, rows, 0).view(rows, 1, height, 1)
    x = moved[:, :, :, 1] + regular(width, cols, 1).view(cols, 1, width)
    return x.flatten(1, 3), y.flatten(1, 3)


def _split(maps: Tensor, geo: Geometry) -> Tensor:
    """(N, C, H, W) to the (N*D, C/D, H, W) maps that share an offset."""
    batch, channels, height, width = maps.shape
    return maps.to(working_dtype(maps)).reshape(
        batch * geo.offset_groups, channels // geo.offset_groups, height,
        width)


def _sampled(maps: Tensor, offset: Tensor, geo: Geometry) -> Tensor:
    """What the taps read: (N, D, C/D, K, h*w)."""
    values = sample(_split(maps, geo), *_positions(offset, geo), 'zeros')
    batch, taps = len(maps), geo.kernel[0] * geo.kernel[1]
    return values.view(batch, geo.offset_groups, values.shape[1], taps, -1)


def _weigh(values: Tensor, mask: Tensor | None, geo: Geometry) -> Tensor:
    """Times the modulation, laid out for the product: (N, G, C/G*K, h*w)."""
    if mask is not None:
        values = values * mask.view(
            len(values), geo.offset_groups, 1, *values.shape[3:])
    return values.reshape(len(values), geo.groups, -1, values.shape[-1])


def _kernel(weight: Tensor, geo: Geometry) -> Tensor:
    """(O, C/G, kh, kw) to (G, O/G, C/G*K)."""
    return weight.view(geo.groups, weight.shape[0] // geo.groups, -1)


def _forward(maps: Tensor, weight: Tensor, offset: Tensor,
             mask: Tensor | None, geo: Geometry) -> Tensor:
    values = _sampled(maps, offset, geo)
    columns = _weigh(values, mask, geo).to(weight.dtype)
    if torch.is_grad_enabled() and not columns.is_cuda:
        # The same product, which oneDNN trains in three quarters of the time.
        product = F.conv2d(
            columns.view(len(maps), -1, *values.shape[3:]),
            weight.flatten(2)[..., None], groups=geo.groups)
    else:
        product = torch.matmul(_kernel(weight, geo), columns)
    return product.view(len(maps), -1, *offset.shape[2:])


def deform_conv(maps: Tensor, weight: Tensor, offset: Tensor,
                offset_groups: int) -> Tensor:
    """A deformable convolution that keeps the size of the maps, of basic
    operations alone.

    Args:
        maps (Tensor): Shape (N, C, H, W).
        weight (Tensor): Shape (O, C, k, k), k odd.
        offset (Tensor): Shape (N, D*k*k*2, H, W).
        offset_groups (int): D.

    Returns:
        Tensor: Shape (N, O, H, W).
    """
    kernel = weight.shape[2], weight.shape[3]
    padding = kernel[0] // 2, kernel[1] // 2
    return _forward(maps, weight, offset, None, Geometry(
        kernel, (1, 1), padding, (1, 1), 1, offset_groups))


def _grouped(grad_output: Tensor, geo: Geometry) -> Tensor:
    """(N, O, h, w) to (N, G, O/G, h*w)."""
    return grad_output.reshape(
        len(grad_output), geo.groups, -1, grad_output[0, 0].numel())


def _grad_columns(grad_output: Tensor, weight: Tensor,
                  geo: Geometry) -> Tensor:
    """Gradient of the columns: (N, G, C/G*K, h*w)."""
    kernel = _kernel(weight, geo).transpose(1, 2)
    return torch.matmul(kernel, _grouped(grad_output, geo))


def _grad_sampling(grad_values: Tensor, maps: Tensor, offset: Tensor,
                   geo: Geometry) -> tuple[Tensor, Tensor]:
    """Gradients of ``maps`` and ``offset`` from (N, D, C/D, K, h*w)."""
    parts, (x, y) = _split(maps, geo), _positions(offset, geo)
    grad_maps, grad_x, grad_y = sample_backward(
        grad_values.to(parts.dtype).reshape(*parts.shape[:2], *x.shape[1:]),
        parts, x, y, 'zeros')
    taps = (len(parts), -1, *offset.shape[2:])
    grad_offset = torch.stack((grad_y.view(taps), grad_x.view(taps)), dim=2)
    return grad_maps.view_as(maps), grad_offset.view_as(offset)


def _grad_weight(columns: Tensor, grad_output: Tensor,
                 geo: Geometry) -> Tensor:
    """Gradient of the kernel, (G, O/G, C/G*K), summed over images."""
    grad = _grouped(grad_output, geo)
    return torch.matmul(grad, columns.to(grad.dtype).transpose(2, 3)).sum(0)


def deform_conv_forward(input: Tensor, weight: Tensor, offset: Tensor,
                        output: Tensor, columns: Tensor, ones: Tensor,
                        **args: Any) -> None:
    """Write the convolution into ``output`` (N, O, h, w)."""
    geo = Geometry.plain(args)
    output.copy_(_forward(input, weight, offset, None, geo))


def deform_conv_backward_input(input: Tensor, offset: Tensor,
                               grad_output: Tensor, grad_input: Tensor,
                               grad_offset: Tensor, weight: Tensor,
                               columns: Tensor, **args: Any) -> None:
    """Write the gradients of input and offset."""
    geo = Geometry.plain(args)
    grads = _grad_sampling(
        _grad_columns(grad_output, weight, geo), input, offset, geo)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])


def deform_conv_backward_parameters(input: Tensor, offset: Tensor,
                                    grad_output: Tensor, grad_weight: Tensor,
                                    columns: Tensor, ones: Tensor, *,
                                    scale: float, **args: Any) -> None:
    """Add ``scale`` times the gradient of the kernel to ``grad_weight``."""
    geo = Geometry.plain(args)
    columns = _weigh(_sampled(input, offset, geo), None, geo)
    grad = _grad_weight(columns, grad_output, geo)
    grad_weight.add_(grad.view_as(grad_weight), alpha=scale)


def modulated_deform_conv_forward(input: Tensor, weight: Tensor,
                                  bias: Tensor, ones: Tensor, offset: Tensor,
                                  mask: Tensor, output: Tensor,
                                  columns: Tensor, *, with_bias: bool,
                                  **args: Any) -> None:
    """Write the modulated convolution into ``output`` (N, O, h, w)."""
    geo = Geometry.modulated(args)
    result = _forward(input, weight, offset, mask, geo)
    if with_bias:
        result = result + bias.view(-1, 1, 1)
    output.copy_(result.view_as(output))


def modulated_deform_conv_backward(
        input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor,
        offset: Tensor, mask: Tensor, columns: Tensor, grad_input: Tensor,
        grad_weight: Tensor, grad_bias: Tensor, grad_offset: Tensor,
        grad_mask: Tensor, grad_output: Tensor, *, with_bias: bool,
        **args: Any) -> None:
    """Write the gradients of all arguments."""
    geo = Geometry.modulated(args)
    values = _sampled(input, offset, geo)
    modulation = mask.view(len(mask), geo.offset_groups, 1, *values.shape[3:])
    grad_columns = _grad_columns(grad_output, weight, geo).view(values.shape)
    grads = _grad_sampling(grad_columns * modulation, input, offset, geo)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])
    grad_mask.copy_((grad_columns * values).sum(2).view_as(grad_mask))
    columns = _weigh(values, mask, geo)
    grad_weight.copy_(
        _grad_weight(columns, grad_output, geo).view_as(grad_weight))
    if with_bias:
        grad_bias.copy_(grad_output.sum((0, 2, 3)))
