"""Sizes of maps as tensors."""
from collections.abc import Sequence

import torch
from torch import Tensor


def size_tensor(sizes: Sequence[int], dtype: torch.dtype,
                device: torch.device) -> Tensor:
    """Sizes in a tensor; in an exported network they follow its input.

    ``torch.tensor`` would make constants of them there.

    Args:
        sizes (Sequence[int]): Heights, widths or the like.
        dtype (torch.dtype): Of the result.
        device (torch.device): Of the result.

    Returns:
        Tensor: Shape (n,).
    """
    if torch.compiler.is_exporting():
        return torch.stack([torch.full((), size, dtype=dtype, device=device)
                            for size in sizes])
    return torch.tensor(sizes, dtype=dtype, device=device)
