"""Multi-scale deformable attention on any device.

mmcv has the operator in PyTorch too, but takes it only for tensors on the
CPU. These let its GPU branch run without the compiled one, and take less time
than mmcv's function.
"""
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def read_out(value: Tensor, shapes: Sequence[Sequence[int]],
             locations: Tensor, weights: Tensor) -> Tensor:
    """The read-out as one sum of weighted rows, without gradients.

    Each query and head reads four rows a point, the neighbours of its
    bilinear interpolation; ``embedding_bag`` adds them up without storing
    what was read.

    Args:
        value (Tensor): (N, keys, heads, channels).
        shapes (Sequence): (h, w) of each level.
        locations (Tensor): (N, queries, heads, levels, points, 2) in [0, 1],
            (x, y); zeros are read outside.
        weights (Tensor): (N, queries, heads, levels, points).

    Returns:
        Tensor: (N, queries, heads * channels).
    """
    batch, _, heads, channels = value.shape
    queries = locations.shape[1]
    # A border of zeros saves asking whether a neighbour is inside: one row
    # and column before, two behind, for positions of -1 to h and w.
    levels = value.permute(0, 2, 1, 3).split([h * w for h, w in shapes], 2)
    table = torch.cat([
        F.pad(level.unflatten(2, (h, w)), (0, 0, 1, 2, 1, 2)).flatten(2, 3)
        for level, (h, w) in zip(levels, shapes, strict=True)], 2)
    rows = table.shape[2]
    starts, sides = [0], []
    for h, w in shapes:
        starts.append(starts[-1] + (h + 3) * (w + 3))
        sides.append((w, h))
    size = value.new_tensor(sides)[:, None]
    zero = value.new_zeros(())
    x, y = (
        locations[..., i].mul(size[..., i]).add_(.5).fmax(zero).fmin(
            size[..., i] + 1) for i in (0, 1))  # also of what is not a number
    left, top = x.int(), y.int()  # rounds down what is not negative
    right, below = x.sub_(left), y.sub_(top)
    device = value.device
    of_map = torch.arange(batch * heads, dtype=torch.int32, device=device) \
        .mul_(rows).view(batch, 1, heads, 1, 1)
    of_level = torch.tensor(starts[:-1], dtype=torch.int32, device=device)
    width = torch.tensor([w + 3 for _, w in shapes], dtype=torch.int32,
                         device=device)[:, None]
    first = top.mul_(width).add_(left).add_(of_map + of_level[:, None])
    lower = weights * below
    upper = weights - lower
    index = first.new_empty(first.shape[:3] + (4, ) + first.shape[3:])
    shares = weights.new_empty(index.shape)
    index[:, :, :, 0] = first
    torch.add(first, 1, out=index[:, :, :, 1])
    torch.add(first, width, out=index[:, :, :, 2])
    torch.add(first, width + 1, out=index[:, :, :, 3])
    for row, share in enumerate((upper, lower)):
        east = torch.mul(share, right, out=shares[:, :, :, 2 * row + 1])
        torch.sub(share, east, out=shares[:, :, :, 2 * row])
    return F.embedding_bag(
        index.flatten(3).flatten(0, 2), table.reshape(-1, channels),
        mode='sum', per_sample_weights=shares.flatten(3).flatten(0, 2)).view(
            batch, queries, heads * channels)


def read_out_for_training(value: Tensor, shapes: Sequence[Sequence[int]],
                          locations: Tensor, weights: Tensor) -> Tensor:
    """The read-out with gradients; see :func:`read_out`.

    As mmcv's function, but what lies next to each other in memory are
    queries, and nothing as large as what was read is made besides.

    Args:
        value (Tensor): (N, keys, heads, channels).
        shapes (Sequence): (h, w) of each level.
        locations (Tensor): (N, heads, levels, points, 2, queries), and
        weights (Tensor): (N, heads, levels, points, queries): queries last,
            quickest where this is also their order in memory.

    Returns:
        Tensor: (N, queries, heads * channels).
    """
    batch, _, heads, channels = value.shape
    maps = value.permute(0, 2, 3, 1).reshape(batch * heads, channels, -1)
    grids = (2 * locations - 1).flatten(0, 1).transpose(-1, -2)
    parts = maps.split([h * w for h, w in shapes], 2)
    read = [
        F.grid_sample(part.unflatten(2, (h, w)), grids[:, level],
                      align_corners=False)
        for level, (part, (h, w)) in enumerate(
            zip(parts, shapes, strict=True))]
    return _WeightedSum.apply(weights.flatten(0, 1), *read).view(
        batch, heads * channels, -1).transpose(1, 2)


class _WeightedSum(torch.autograd.Function):
    """Sum over l and p of weights (b, l, p, q) times values (b, c, p, q), a
    tensor for each l."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *values)
        total = values[0].new_zeros(values[0][:, :, 0].shape)
        for level, rows in enumerate(values):
            for p in range(rows.shape[2]):
                total.addcmul_(rows[:, :, p], weights[:, None, level, p])
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        weights, *values = ctx.saved_tensors
        of_weights = torch.empty_like(weights)
        for level, rows in enumerate(values):
            for p in range(rows.shape[2]):
                of_weights[:, level, p] = (grad * rows[:, :, p]).sum(1)
        return (of_weights, *(grad[:, :, None] * weights[:, None, level]
                              for level in range(len(values))))


@lru_cache(maxsize=4)
def _numbers(shapes: Tensor) -> list[list[int]]:
    """Shapes as a list, since the function splits by these numbers.

    All layers of a network pass the same tensor, by which it is known (a
    tensor is equal to itself alone here): one wait for the GPU, not one a
    layer.
    """
    return shapes.tolist()


def ms_deform_attn_forward(value: Tensor, value_spatial_shapes: Tensor,
                           value_level_start_index: Tensor,
                           sampling_locations: Tensor,
                           attention_weights: Tensor,
                           **args: Any) -> Tensor:
    """Attention read-out, (N, queries, heads * channels).

    Args:
        value (Tensor): (N, keys, heads, channels).
        value_spatial_shapes (Tensor): (levels, 2) int, (h, w) each.
        sampling_locations (Tensor): (N, queries, heads, levels, points, 2) in
            [0, 1], (x, y).
        attention_weights (Tensor): (N, queries, heads, levels, points).
    """
    return read_out(value, _numbers(value_spatial_shapes), sampling_locations,
                    attention_weights)


def ms_deform_attn_backward(value: Tensor, value_spatial_shapes: Tensor,
                            value_level_start_index: Tensor,
                            sampling_locations: Tensor,
                            attention_weights: Tensor, grad_output: Tensor,
                            grad_value: Tensor, grad_sampling_loc: Tensor,
                            grad_attn_weight: Tensor, **args: Any) -> None:
    """Write the gradients of value, locations and weights."""
    inputs = [
        tensor.detach().requires_grad_()
        for tensor in (value, sampling_locations, attention_weights)
    ]
    with torch.enable_grad():
        output = read_out_for_training(
            inputs[0], _numbers(value_spatial_shapes),
            inputs[1].permute(0, 2, 3, 4, 5, 1).contiguous(),
            inputs[2].permute(0, 2, 3, 4, 1).contiguous())
    grads = torch.autograd.grad(output, inputs, grad_output)
    for target, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight),
                            grads, strict=True):
        target.copy_(grad)
