"""The parts that every vision transformer here is made of."""
from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class PatchEmbed(nn.Module):
    """One token of each patch of a frame.

    Args:
        dim (int): Token size.
        patch (int): Pixels of a patch side.
    """

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, C, h, w) of frames (B, 3, H, W)."""
        return self.proj(x)


class _Attention(nn.Module):
    #: Takes and gives what PyTorch's function does; ``optimize_model`` may set
    #: another.
    dot_product_attention = staticmethod(F.scaled_dot_product_attention)

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads,
                                   c // self.heads).permute(2, 0, 3, 1, 4)
        out = self.dot_product_attention(q, k, v, seen)
        return self.proj(out.transpose(1, 2).reshape(b, n, c))


def _mlp(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(
        fc1=nn.Linear(dim, hidden), act=nn.GELU(),
        fc2=nn.Linear(hidden, dim)))


class _LayerScale(nn.Module):

    def __init__(self, dim: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim, ), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class ViTBlock(nn.Module):
    """Pre-norm attention and MLP.

    Args:
        dim (int): C, token size.
        heads (int): Attention heads, a divisor of C.
        eps (float): Epsilon of the layer norms.
        mlp_ratio (float): Hidden size of the MLP by C. Defaults to 4.
        layer_scale (float, optional): First value of the factors that each
            branch is multiplied by (Touvron et al., CaiT, ICCV 2021).
            Defaults to None, no such factors.
    """

    def __init__(self,
                 dim: int,
                 heads: int,
                 eps: float,
                 mlp_ratio: float = 4.,
                 layer_scale: float | None = None) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return nn.Identity() if layer_scale is None else _LayerScale(
                dim, layer_scale)

        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = _Attention(dim, heads)
        self.ls1 = scale()
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = _mlp(dim, int(dim * mlp_ratio))
        self.ls2 = scale()

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Tokens after the block.

        Args:
            x (Tensor): Shape (B, N, C).
            seen (Tensor, optional): Shape (B, 1, N, N) bool, which tokens
                (last axis) each token may look at. Defaults to None, all.
        """
        x = x + self.ls1(self.attn(self.norm1(x), seen))
        return x + self.ls2(self.mlp(self.norm2(x)))


def run_layer(layer: nn.Module, *inputs: Any, with_cp: bool) -> Tensor:
    """Output of a layer for these inputs.

    Args:
        layer (nn.Module): It is training or not.
        inputs (Any): Of its ``forward``.
        with_cp (bool): In training, keep nothing inside of the layer for the
            backward pass, which runs it once more: less memory, more time.
    """
    if with_cp and layer.training:
        return checkpoint(layer, *inputs, use_reentrant=False)
    return layer(*inputs)


def resample_positions(positions: Tensor, grid: tuple[int, int],
                       **how: Any) -> Tensor:
    """Position embeddings read at another grid, bicubic.

    Args:
        positions (Tensor): Shape (1, n, C), of a grid, row by row.
        grid (tuple[int, int]): Its rows and columns.
        how (Any): ``size`` or ``scale_factor``, and ``antialias``, of
            :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: Shape (1, rows * columns, C), in the type of ``positions``.
    """
    table = positions.transpose(1, 2).unflatten(2, grid)
    table = F.interpolate(
        table.float(), mode='bicubic', align_corners=False, **how)
    return table.flatten(2).transpose(1, 2).to(positions)
