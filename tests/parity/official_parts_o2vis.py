"""Which objects existed before, as released LOMM takes it by mistake."""
import torch
from torch import Tensor


def official_existence(ids: Tensor) -> tuple[Tensor, Tensor]:
    """In place of ``existence``: whatever is absent has the identity -1, and
    so is new at the first absence of any object and existed after that.

    Args:
        ids: (G, T) int64, -1 where absent.

    Returns:
        (T, 1, G) bool, seen before; all count.
    """
    same = ids[:, :, None, None] == ids  # (G, T, G, T)
    earlier = ids.new_ones(ids.shape[1], ids.shape[1]).tril(-1) > 0
    seen = (same & earlier[:, None]).flatten(2).any(2).T[:, None]
    return seen, torch.ones_like(seen)
