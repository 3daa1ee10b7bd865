"""Pairs of queries and objects, and losses that are kept by layer."""
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class QueryPairs(NamedTuple):
    """P pairs of a query and its object, index tensors (P,) int64.

    Attributes:
        layer: decoder layer.
        frame: frame of the batch.
        query: query of the frame.
        gt: object of the frame.
    """
    layer: Tensor
    frame: Tensor
    query: Tensor
    gt: Tensor

    @classmethod
    def of(cls, gt_index: Tensor) -> 'QueryPairs':
        """All pairs of an assignment (L, B, Q), -1 for none."""
        layer, frame, query = (gt_index >= 0).nonzero(as_tuple=True)
        return cls(layer, frame, query, gt_index[layer, frame, query])

    @classmethod
    def from_host(cls, rows: np.ndarray,
                  device: torch.device) -> 'QueryPairs':
        """From int64 (4, P), in the order of the attributes."""
        return cls(*torch.from_numpy(rows).to(device))


def sum_by_layer(values: Tensor, layer: Tensor, num_layers: int) -> Tensor:
    """Sums (L,) of values (P,) whose layers are (P,) int64."""
    return values.new_zeros(num_layers).index_add(0, layer, values)


def name_by_layer(name: str, values: Iterable[Tensor]) -> dict[str, Tensor]:
    """Losses of L layers under the names that are logged.

    Args:
        name: of the last layer.
        values: L scalars, or (L,).

    Returns:
        ``d<l>.<name>`` of the other layers, from the first on, and ``name``.
    """
    *others, last = values
    return {**{f'd{i}.{name}': v for i, v in enumerate(others)}, name: last}
