"""What an object asks a frame with, of its memory and its matched query."""
from __future__ import annotations

from mmdet.registry import TASK_UTILS
from torch import Tensor

_ORDERS = ('memory_first', 'query_first')


@TASK_UTILS.register_module()
class AdaptiveAnchor:
    """A mixture by how alike the two are (O2VIS, eq 7).

    Args:
        order (str): 'memory_first' takes more of the memory the more alike
            they are, as released: an object goes on as it was, a new one
            comes as it is. 'query_first' is the letter of eq 7, which takes
            more of the query. Defaults to 'memory_first'.
    """

    def __init__(self, order: str = 'memory_first') -> None:
        if order not in _ORDERS:
            raise ValueError(
                f'order of the anchor must be one of {_ORDERS}, got '
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
        first, second = (memory, matched) \
            if self.order == 'memory_first' else (matched, memory)
        share = similarity[..., None]
        return share * first + (1 - share) * second


@TASK_UTILS.register_module()
class MatchedAnchor:
    """The matched query (O2VIS, Table 3 (b))."""

    def __call__(self, matched: Tensor, memory: Tensor,
                 similarity: Tensor) -> Tensor:
        """See :class:`AdaptiveAnchor`."""
        return matched


@TASK_UTILS.register_module()
class MemoryAnchor:
    """What is remembered (O2VIS, Table 3 (b))."""

    def __call__(self, matched: Tensor, memory: Tensor,
                 similarity: Tensor) -> Tensor:
        """See :class:`AdaptiveAnchor`."""
        return memory
