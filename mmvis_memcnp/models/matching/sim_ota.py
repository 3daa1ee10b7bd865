"""SimOTA for the queries of a decoder: an object gets several."""
import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from ..layers.boxes import pairwise_iou
from ..truth.matches import Matches
from .costs import CostSum, Queries, Truth


@TASK_UTILS.register_module()
class SimOTAMatcher:
    """Dynamic top-k by a cost of class, overlap and place.

    To the costs come ``outside_centre`` unless the predicted centre lies in
    the ground-truth box and near its middle, and ``outside_any`` where it
    does so for no ground truth at all. A ground truth takes its k cheapest
    queries, k the sum of its ``topk`` largest IoUs. A query that several take
    goes to the cheapest; a ground truth that loses all gets the cheapest
    query that is still free. mmdet's ``SimOTAAssigner`` costs the logarithm
    of the IoU and measures in pixels of a pyramid.

    The released IDOL does not settle two such losers that want the same free
    query, both get it; here the costlier one takes its next.

    Args:
        costs (dict[str, dict]): See :class:`CostSum`.
        centre_radius (float): Half the side of the square around the middle
            of a box, as a fraction of the image; with a higher value queries
            farther from the middle count as near. Defaults to 2.5 / 32.
        outside_centre (float): Defaults to 100.
        outside_any (float): Defaults to 10000.
        topk (int): Largest IoUs that are summed; a higher value gives an
            object more queries. Defaults to 10.
    """

    def __init__(self,
                 costs: dict[str, dict],
                 centre_radius: float = 2.5 / 32,
                 outside_centre: float = 100.,
                 outside_any: float = 10000.,
                 topk: int = 10) -> None:
        self.cost = CostSum(costs)
        self.centre_radius = centre_radius
        self.outside_centre = outside_centre
        self.outside_any = outside_any
        self.topk = topk

    @torch.no_grad()
    def match(self, queries: Queries, truth: Truth,
              topk: int | None = None) -> Matches:
        """Match the objects of B frames in L layers.

        Args:
            queries (Queries): Fields (L, B, Q, ...), or any leading axes.
            truth (GroundTruth): Of the B frames.
            topk (int, optional): In place of the matcher's own.

        Returns:
            Matches: ``best`` is the cheapest query of an object. If there
            are fewer queries than objects, some share that one; that of
            padding means nothing.
        """
        assert queries.boxes is not None
        cost = self.pair_costs(queries, truth)
        iou = pairwise_iou(
            bbox_cxcywh_to_xyxy(queries.boxes.float()), truth.xyxy)
        matched = self.resolve(
            self.dynamic_topk(cost, iou, topk or self.topk), cost)
        own = cost.masked_fill(~matched, torch.inf)
        best = torch.where(
            matched.any(-2), own.argmin(-2), cost.argmin(-2))
        index = matched.long().argmax(-1)
        return Matches(index.masked_fill(~matched.any(-1), -1), best)

    def pair_costs(self, queries: Queries, truth: Truth) -> Tensor:
        """Cost of every pair, (..., Q, G) float32, infinite of padding."""
        assert queries.boxes is not None
        cost = self.cost(queries, truth)
        points = queries.boxes[..., None, :2].float()
        corners = truth.xyxy[..., None, :, :]
        in_box = ((points > corners[..., :2]) &
                  (points < corners[..., 2:])).all(-1)
        away = (points - truth.cxcywh[..., None, :, :2]).abs()
        in_centre = (away < self.centre_radius).all(-1)
        cost = cost + self.outside_centre * ~(in_box & in_centre)
        there = truth.valid[..., None, :]
        somewhere = ((in_box | in_centre) & there).any(-1, keepdim=True)
        cost = cost + self.outside_any * ~somewhere
        return cost.masked_fill(~there, torch.inf)

    @staticmethod
    def dynamic_topk(cost: Tensor, iou: Tensor, topk: int) -> Tensor:
        """The k cheapest queries of each ground truth.

        Args:
            cost (Tensor): Shape (..., Q, G), infinite of padding.
            iou (Tensor): Shape (..., Q, G).
            topk (int): k is the sum of this many largest IoUs, at least 1.

        Returns:
            Tensor: Shape (..., Q, G) bool.
        """
        most = min(topk, cost.shape[-2])
        wanted = iou.topk(most, dim=-2)[0].sum(-2).long().clamp(min=1)
        cheapest = cost.topk(most, dim=-2, largest=False)[1]
        ranks = torch.arange(most, device=wanted.device)
        taken = ranks[:, None] < wanted[..., None, :]
        matched = torch.zeros_like(cost, dtype=torch.bool)
        matched.scatter_(-2, cheapest, taken)
        return matched & cost.isfinite()

    @staticmethod
    def resolve(matched: Tensor, cost: Tensor) -> Tensor:
        """Give every query to one ground truth, and each of those a query.

        Args:
            matched (Tensor): Shape (..., Q, G) bool.
            cost (Tensor): Shape (..., Q, G), infinite where there is no
                ground truth.

        Returns:
            Tensor: Shape (..., Q, G) bool, at most one True a query.
        """
        columns = torch.arange(cost.shape[-1], device=cost.device)
        contested = matched.sum(-1, keepdim=True) > 1
        cheapest = cost.argmin(-1, keepdim=True) == columns
        matched = torch.where(contested, cheapest, matched)
        while True:
            free = cost.masked_fill(matched.any(-1, keepdim=True), torch.inf)
            lowest, query = free.min(-2)
            left = ~matched.any(-2) & lowest.isfinite()
            if not left.any():  # each round serves at least one of them
                return matched
            wishes = torch.zeros_like(matched).scatter_(
                -2, query[..., None, :], left[..., None, :])
            bids = cost.masked_fill(~wishes, torch.inf)
            matched = matched | (
                wishes & (bids.argmin(-1, keepdim=True) == columns))
