"""What a matching gives: pairs of queries and objects."""
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
