"""Rows that belong together, by the best sum of cosines."""
from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@TASK_UTILS.register_module()
class HungarianAssociation:
    """Permutation of a frame's queries with the largest sum of cosines.

    MinVIS matches the queries of two frames so (Huang et al., NeurIPS 2022).

    Args:
        occupied_first (bool): Objects that are occupied choose among all
            queries, then the others among what is left (O2VIS, eq 6): rows
            without an object cannot take a query away. Defaults to False.
    """

    def __init__(self, occupied_first: bool = False) -> None:
        self.occupied_first = occupied_first

    @torch.no_grad()
    def __call__(self,
                 objects: Tensor,
                 embeds: Tensor,
                 occupied: Tensor | None = None) -> Tensor:
        """Match N queries to N objects in each of B videos.

        The assignment is solved on the CPU, which takes one transfer for all
        videos.

        Args:
            objects (Tensor): Shape (B, N, C), what is remembered.
            embeds (Tensor): Shape (B, N, C), queries of a frame.
            occupied (Tensor, optional): Shape (B, N) bool, which objects are
                there; needed by ``occupied_first``.

        Returns:
            Tensor: Shape (B, N) int64, the query of each object.
        """
        with torch.autocast(embeds.device.type, enabled=False):
            cosine = F.normalize(objects.float(), dim=-1) @ F.normalize(
                embeds.float(), dim=-1).transpose(1, 2)
        if self.occupied_first:
            if occupied is None:
                raise ValueError('occupied_first needs to know which objects '
                                 'are occupied: give the tracker `present`.')
            cosine = torch.cat(
                (cosine, occupied[..., None].to(cosine)), dim=2)
        numbers = cosine.nan_to_num(0.).cpu().numpy()
        order = torch.zeros(embeds.shape[:2], dtype=torch.long)
        for b, alike in enumerate(numbers):
            if self.occupied_first:
                order[b] = torch.from_numpy(
                    two_steps(alike[:, :-1], alike[:, -1] > 0))
            else:
                order[b] = torch.from_numpy(
                    linear_sum_assignment(alike, maximize=True)[1])
        return order.to(embeds.device, non_blocking=True)


def two_steps(alike: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Assign some rows before the others.

    Args:
        alike (ndarray): Shape (N, N), to be maximised.
        first (ndarray): Shape (N,) bool, rows that choose among all columns.

    Returns:
        ndarray: Shape (N,) int64, column of each row.
    """
    order = np.zeros(len(alike), dtype=np.int64)
    free = np.arange(len(alike))
    for rows in (first.nonzero()[0], (~first).nonzero()[0]):
        columns = linear_sum_assignment(
            alike[np.ix_(rows, free)], maximize=True)[1]
        order[rows] = free[columns]
        free = np.delete(free, columns)
    return order
