"""One query an object, one object a query."""
from typing import Any

import numpy as np
import torch
from mmdet.registry import TASK_UTILS
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .pairs import QueryPairs


def one_to_one(cost: Tensor, valid: Tensor) -> QueryPairs:
    """The cheapest pairs of every layer and frame (Hungarian method).

    Args:
        cost: (L, B, Q, G).
        valid: (B, G) bool, False where there is no object.

    Returns:
        A query for each object; if there are more than Q, for Q of them.
    """
    # Whatever is not finite is reported by the losses, not by scipy.
    table = torch.nan_to_num(cost, 1e8, 1e8, -1e8).cpu().numpy()
    objects = [np.flatnonzero(row) for row in valid.cpu().numpy()]
    rows = [np.empty((4, 0), np.int64)]
    for layer, frame in np.ndindex(*table.shape[:2]):
        own = objects[frame]
        query, column = linear_sum_assignment(table[layer, frame][:, own])
        rows.append(np.stack([
            np.full_like(query, layer), np.full_like(query, frame), query,
            own[column]]))
    return QueryPairs.from_host(np.concatenate(rows, 1), cost.device)


@TASK_UTILS.register_module()
class OneToOneMatcher:
    """Each layer is matched on its own, in each frame on its own.

    Args:
        cost (dict): Of every pair, such as :class:`SampledMaskCost`.
    """

    def __init__(self, cost: dict) -> None:
        self.cost = TASK_UTILS.build(cost)

    @torch.no_grad()
    def __call__(self, *args: Any, valid: Tensor) -> QueryPairs:
        """Match.

        Args:
            args: What the cost takes.
            valid (Tensor): Shape (B, G) bool, False where there is no object.
        """
        return one_to_one(self.cost(*args), valid)
