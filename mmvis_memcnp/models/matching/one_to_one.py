"""One query an object, one object a query."""
import numpy as np
import torch
from mmdet.registry import TASK_UTILS
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..truth.matches import Matches
from .costs import CostSum, Queries, Truth


@TASK_UTILS.register_module()
class OneToOneMatcher:
    """The cheapest pairs of every layer and frame (Hungarian method).

    Args:
        costs (dict[str, dict]): See :class:`CostSum`.
    """

    def __init__(self, costs: dict[str, dict]) -> None:
        self.cost = CostSum(costs)

    @torch.no_grad()
    def match(self, queries: Queries, truth: Truth) -> Matches:
        """Match the objects of B frames or clips in L layers.

        Args:
            queries (Queries): Fields (L, B, Q, ...).
            truth (GroundTruth | ClipTruth): Of the B frames or clips.

        Returns:
            Matches: A query for each valid object; if there are more than Q
            objects, for Q of them.
        """
        cost = self.cost(queries, truth)
        best = hungarian(cost, truth.valid)
        return Matches.of_objects(best, cost.shape[-2]).to(cost.device)


def hungarian(cost: Tensor, wanted: Tensor,
              free: Tensor | None = None) -> Tensor:
    """The cheapest pairs of N tables, found on the host.

    Args:
        cost: (..., Q, G); what is not finite counts as very dear, since it
            is the losses that report it.
        wanted: (..., G) bool, objects to match; leading axes may be fewer.
        free: (..., Q) bool, queries that may be taken; None for all. On the
            host.

    Returns:
        (..., G) int64 on the host, query of each object, -1 for none.
    """
    # Objects that are not wanted are infinite: one table crosses over.
    tables = cost.nan_to_num(1e8, 1e8, -1e8).masked_fill(
        ~wanted.to(cost.device)[..., None, :], torch.inf).cpu().numpy()
    best = np.full((*tables.shape[:-2], tables.shape[-1]), -1)
    new = np.isfinite(tables[..., 0, :])
    # Few; no loop over queries or objects.
    for at in zip(*new.any(-1).nonzero(), strict=True):
        columns = np.flatnonzero(new[at])
        rows = np.arange(tables.shape[-2]) if free is None else \
            np.flatnonzero(free[at].numpy())
        row, column = linear_sum_assignment(
            tables[at][np.ix_(rows, columns)])
        best[(*at, columns[column])] = rows[row]
    return torch.from_numpy(best)
