"""What an object asks a frame with, of its memory and its matched query."""
from __future__ import annotations

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

#: Share of the memory by how alike the two are.
_SHARES = dict(
    memory_first=lambda similarity: similarity,
    query_first=lambda similarity: 1 - similarity,
    memory=torch.ones_like,
    query=torch.zeros_like)


@TASK_UTILS.register_module()
class AdaptiveAnchor:
    """A mixture by how alike the two are (O2VIS, eq 7), or one of them.

    Args:
        order (str): 'memory_first' takes more of the memory the more alike
            they are, as released: an object goes on as it was, a new one
            comes as it is. 'query_first' is the letter of eq 7, which takes
            more of the query. 'memory' and 'query' take that one alone
            (Table 3 (b)). Defaults to 'memory_first'.
    """

    def __init__(self, order: str = 'memory_first') -> None:
        if order not in _SHARES:
            raise ValueError(
                f'order of the anchor must be one of {tuple(_SHARES)}, got '
                f'{order!r}.')
        self.order = order

    def __call__(self, matched: Tensor, memory: Tensor,
                 similarity: Tensor) -> Tensor:
        """Anchors (B, N, C).

        Args:
            matched (Tensor): Shape (B, N, C), the query of each object.
            memory (Tensor): Shape (B, N, C), what is remembered of it.
            similarity (Tensor): Shape (B, N) in [-1, 1].
        """
        share = _SHARES[self.order](similarity)[..., None]
        return share * memory + (1 - share) * matched
