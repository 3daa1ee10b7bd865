"""Multi-scale deformable attention on any device.

mmcv has the operator in PyTorch too, but takes it only for tensors on the
CPU. These two let its GPU branch run the same function.
"""
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def _attend(value: Tensor, shapes: Tensor, locations: Tensor,
            weights: Tensor) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import (
        multi_scale_deformable_attn_pytorch,
    )

    return multi_scale_deformable_attn_pytorch(value, _numbers(shapes),
                                               locations, weights)


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
    return _attend(value, value_spatial_shapes, sampling_locations,
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
        output = _attend(inputs[0], value_spatial_shapes, *inputs[1:])
    grads = torch.autograd.grad(output, inputs, grad_output)
    for target, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight),
                            grads, strict=True):
        target.copy_(grad)
