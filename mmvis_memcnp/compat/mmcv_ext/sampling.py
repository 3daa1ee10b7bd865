"""Bilinear sampling at pixel positions, forward and backward.

Both directions work in float32 at least: a position stored in 16 bits is off
by whole pixels on a large map.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

_PADDING = {'zeros': 0, 'border': 1}


def working_dtype(tensor: Tensor) -> torch.dtype:
    """float32, or float64 if that is what ``tensor`` holds."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _grid(x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Pixel positions in the units of ``grid_sample``.

    ``align_corners=False`` units, because with True a map one pixel wide has
    a single position.
    """
    return torch.stack(
        ((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)


def sample(maps: Tensor, x: Tensor, y: Tensor, padding: str) -> Tensor:
    """Values of maps between their pixels.

    Args:
        maps (Tensor): (B, C, H, W).
        x (Tensor): (B, h, w) columns in pixels, 0 the centre of the first.
        y (Tensor): (B, h, w) rows in pixels.
        padding (str): Beyond the map: ``zeros`` or ``border``.

    Returns:
        Tensor: (B, C, h, w).
    """
    return F.grid_sample(
        maps,
        _grid(x, y, *maps.shape[2:]),
        mode='bilinear',
        padding_mode=padding,
        align_corners=False)


def sample_backward(grad: Tensor, maps: Tensor, x: Tensor, y: Tensor,
                    padding: str) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`sample`, without running it again.

    Args:
        grad (Tensor): (B, C, h, w) gradient of its result.
        maps, x, y, padding: Its arguments.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Gradients of ``maps``, ``x``, ``y``.
    """
    height, width = maps.shape[2:]
    grad_maps, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
        grad, maps, _grid(x, y, height, width), 0, _PADDING[padding], False,
        [True, True])
    return (grad_maps, grad_grid[..., 0] * (2 / width),
            grad_grid[..., 1] * (2 / height))
