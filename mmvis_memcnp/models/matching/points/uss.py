"""Uncertainty sample selection (eq 15)."""
import math

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...layers import centreness
from .assigner import PointAssigner, PointBatch
from .geometry import edge_distances, nearest_centre


def top_of_group(scores: Tensor, group: Tensor, topk: int) -> Tensor:
    """Whether each entry is among the ``topk`` largest of its group.

    Equal scores keep their order: the first entries win.

    Args:
        scores (Tensor): Shape (P,).
        group (Tensor): Shape (P,) int64.
        topk (int): Entries to choose a group; all of a smaller group.

    Returns:
        Tensor: Shape (P,) bool.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[group[order].argsort(stable=True)]
    sorted_group = group[order]
    start = torch.searchsorted(sorted_group, sorted_group)
    rank = torch.arange(len(order), device=order.device) - start
    chosen = torch.empty_like(order, dtype=torch.bool)
    chosen[order] = rank < topk
    return chosen


@TASK_UTILS.register_module()
class USSAssigner(PointAssigner):
    """Uncertainty sample selection: confident positives, trusted negatives.

    Scores every point by ``tau = -lambda_tau * sigma + (1 - lambda_tau) * c``
    with sigma the mean of its four standard deviations and c its centreness.
    Positives are the ``topk`` best candidates of each ground truth on each
    level; negatives are the other points with tau < 0; the rest is ignored.

    Args:
        topk (int): Positives a ground truth and level. Defaults to 5.
        lambda_tau (float): Balance of eq 15, in [0, 1]. Defaults to 0.5.
        candidates (str): 'inside': a point is a candidate of the smallest box
            that contains it. 'nearest', as in the released code: of the box
            with the nearest centre, even from outside, and what is chosen is
            positive if it lies in any box. Defaults to 'inside'.
        sigma_limit (float): Sigma counts as at most this; with a low one
            uncertain points do not differ. The released code has 1. Defaults
            to infinity.
    """

    def __init__(self,
                 topk: int = 5,
                 lambda_tau: float = 0.5,
                 candidates: str = 'inside',
                 sigma_limit: float = math.inf) -> None:
        if candidates not in ('inside', 'nearest'):
            raise ValueError("candidates must be 'inside' or 'nearest', got "
                             f'{candidates!r}.')
        self.topk = topk
        self.lambda_tau = lambda_tau
        self.candidates = candidates
        self.sigma_limit = sigma_limit

    def select(self, batch: PointBatch) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`PointAssigner`."""
        own = batch.smallest
        if self.candidates == 'nearest':
            own = nearest_centre(batch.points, batch.boxes, batch.valid)
        tau = self.confidence(batch)
        num_gts = batch.boxes.size(1)
        images = torch.arange(len(own), device=own.device)[:, None]
        # One group an image, level and ground truth; no ground truth is one
        # more group, whose choice does not count.
        group = (images * (batch.levels.max() + 1) + batch.levels) * (
            num_gts + 1) + own + 1
        chosen = top_of_group(tau.flatten(), group.flatten(), self.topk)
        pos = chosen.view_as(own) & (own >= 0) & (batch.smallest >= 0)
        return pos, ~pos & (tau < 0), own

    def confidence(self, batch: PointBatch) -> Tensor:
        """tau of eq 15 for every point, (B, N)."""
        if batch.sigmas is None:
            raise ValueError('USSAssigner needs the standard deviations of '
                             'the points: pass `sigmas`.')
        centre = batch.centreness
        if centre is None:
            centre = centreness(
                edge_distances(batch.points, batch.boxes, batch.smallest))
        sigma = batch.sigmas.to(centre.dtype).mean(-1).clamp(
            max=self.sigma_limit)
        return -self.lambda_tau * sigma + (1 - self.lambda_tau) * centre
