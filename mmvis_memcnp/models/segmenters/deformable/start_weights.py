"""Weights of a Deformable DETR decoder under the names of another decoder."""
from collections.abc import Mapping

from torch import Tensor


def rename_detr_layers(state: dict[str, Tensor], prefix: str,
                       names: Mapping[str, tuple[str, ...]]) -> None:
    """Give the layers of a ``DeformableDecoder`` other names.

    A model of single frames (the COCO stage of IDOL, say) can so start a
    video model whose decoder has the same parts elsewhere, or twice. Weights
    of another decoder stay as they are.

    Args:
        state (dict[str, Tensor]): Weights by name; changed.
        prefix (str): Of the decoder's names, with the dot.
        names (Mapping[str, tuple[str, ...]]): What a name within a layer
            starts with, to what the new names start with; names that are not
            listed stay.
    """
    # Only a DeformableDecoder has mmcv's wrapper around its attention.
    if f'{prefix}layers.0.self_attn.attn.in_proj_weight' not in state:
        return
    start = f'{prefix}layers.'
    for name in [n for n in state if n.startswith(start)]:
        number, _, part = name.removeprefix(start).partition('.')
        old = next((old for old in names if part.startswith(old)), None)
        if old is None:
            continue
        value = state.pop(name)
        for new in names[old]:
            state[f'{start}{number}.{new}{part.removeprefix(old)}'] = value
