"""Swin Transformer of the detectron2 code bases to mmdet's.

IDOL, SeqFormer, Mask2Former and what is built on them carry the same class.
Its tensors differ from mmdet's in their names and in the order in which patch
merging concatenates the four neighbours.
"""
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .base import KeyMap

# Neighbours (row, column): 00, 10, 01, 11 there; 00, 01, 10, 11 here.
_ORDER = (0, 2, 1, 3)


def swin_rules(old: str = '',
               new: str = '') -> tuple[tuple[str, str], ...]:
    """Rules of a :class:`KeyMap`.

    Args:
        old: pattern of what stands before the backbone's names, without
            groups.
        new: what stands before them here, such as ``'backbone.'``.
    """
    block = old + r'layers\.(\d)\.blocks\.(\d+)\.'
    ours = new + r'stages.\1.blocks.\2.'
    return (
        (old + r'patch_embed\.proj\.', new + 'patch_embed.projection.'),
        (block + r'attn\.', ours + 'attn.w_msa.'),
        (block + r'mlp\.fc1\.', ours + 'ffn.layers.0.0.'),
        (block + r'mlp\.fc2\.', ours + 'ffn.layers.1.'),
        (old + r'layers\.', new + 'stages.'),
        (old + r'(patch_embed|norm\d)\.', new + r'\1.'),
    )


def swin_values(
        old: str = '') -> tuple[tuple[str, Callable[[Tensor], Tensor]], ...]:
    """Value functions of a :class:`KeyMap`; ``old`` as in the rules."""
    return ((old + r'layers\.\d\.downsample\.', merging_order), )


def merging_order(value: Tensor) -> Tensor:
    """Reorder the 4 C inputs of patch merging.

    There they are four blocks of C channels, a block a neighbour; mmdet
    unfolds, so that the four neighbours of a channel are adjacent.

    Args:
        value: weight (..., 4 C) of the reduction, or of its norm.
    """
    blocks = value.unflatten(-1, (4, -1))
    order = torch.tensor(_ORDER, device=value.device)
    return blocks[..., order, :].transpose(-1, -2).flatten(-2)


def window_index(table: Tensor) -> Tensor:
    """Which bias each pair of cells of a window takes.

    Args:
        table: ((2w - 1)^2, heads), the biases by distance.

    Returns:
        (w^2, w^2) int64, as mmdet numbers them.
    """
    from mmdet.models.backbones.swin import WindowMSA
    side = (math.isqrt(len(table)) + 1) // 2
    return WindowMSA(1, 1, (side, side)).relative_position_index


#: A bare backbone.
SWIN = KeyMap('layers.0.downsample.reduction.weight', swin_rules(),
              values=swin_values())
