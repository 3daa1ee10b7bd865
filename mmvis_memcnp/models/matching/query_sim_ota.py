"""SimOTA for the queries of a decoder: a ground truth gets several."""
from typing import NamedTuple

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from torch import Tensor

from .focal_cost import focal_cost


class SimOTAAssignment(NamedTuple):
    """Which queries learn which ground truth, for N sets of queries.

    Attributes:
        gt_index: (N, Q) int64, ground truth of a query, -1 for none.
        best: (N, G) int64, cheapest query of each ground truth; anything
            where there is no ground truth.
    """
    gt_index: Tensor
    best: Tensor


class PairCosts(NamedTuple):
    """Pairs of Q queries and G ground truths.

    Attributes:
        cost: (N, Q, G) float32, infinite where there is no ground truth.
        iou: (N, Q, G) float32.
    """
    cost: Tensor
    iou: Tensor


@TASK_UTILS.register_module()
class QuerySimOTAAssigner:
    """Dynamic top-k by a cost of class, overlap and place.

    The cost is ``focal + giou_weight * (-GIoU)``, plus ``outside_centre``
    unless the predicted centre lies in the ground-truth box and near its
    middle, plus ``outside_any`` where it does so for no ground truth at all.
    A ground truth takes its k cheapest queries, k the sum of its ``topk``
    largest IoUs. A query that several take goes to the cheapest; a ground
    truth that loses all gets the cheapest query that is still free. mmdet's
    ``SimOTAAssigner`` costs the logarithm of the IoU and measures in pixels
    of a pyramid.

    The released IDOL does not settle two such losers that want the same free
    query, both get it; here the costlier one takes its next.

    Args:
        giou_weight (float): Defaults to 3.
        centre_radius (float): Half the side of the square around the middle
            of a box, as a fraction of the image. Defaults to 2.5 / 32.
        outside_centre (float): Defaults to 100.
        outside_any (float): Defaults to 10000.
        topk (int): Largest IoUs that are summed. Defaults to 10.
        alpha (float): Of the focal cost. Defaults to 0.25.
        gamma (float): Of the focal cost. Defaults to 2.
    """

    def __init__(self,
                 giou_weight: float = 3.,
                 centre_radius: float = 2.5 / 32,
                 outside_centre: float = 100.,
                 outside_any: float = 10000.,
                 topk: int = 10,
                 alpha: float = 0.25,
                 gamma: float = 2.) -> None:
        self.giou_weight = giou_weight
        self.centre_radius = centre_radius
        self.outside_centre = outside_centre
        self.outside_any = outside_any
        self.topk = topk
        self.alpha = alpha
        self.gamma = gamma

    @torch.no_grad()
    def assign_batch(self, probs: Tensor, boxes: Tensor, gt_boxes: Tensor,
                     gt_labels: Tensor, gt_valid: Tensor) -> SimOTAAssignment:
        """Assign N sets of Q queries (frames, decoder layers) at once.

        Args:
            probs (Tensor): Shape (N, Q, K), class probabilities.
            boxes (Tensor): Shape (N, Q, 4), cx, cy, w, h as fractions.
            gt_boxes (Tensor): Shape (N, G, 4), the same.
            gt_labels (Tensor): Shape (N, G) int64.
            gt_valid (Tensor): Shape (N, G) bool, False where padded.

        Returns:
            SimOTAAssignment: See there.
        """
        pairs = self.pair_costs(probs, boxes, gt_boxes, gt_labels, gt_valid)
        matched = self.resolve(self.dynamic_topk(pairs, self.topk), pairs.cost)
        own = pairs.cost.masked_fill(~matched, torch.inf)
        # With fewer queries than ground truths, some share a query.
        best = torch.where(
            matched.any(1), own.argmin(1), pairs.cost.argmin(1))
        index = matched.long().argmax(2)
        return SimOTAAssignment(index.masked_fill(~matched.any(2), -1), best)

    @torch.no_grad()
    def candidates(self, probs: Tensor, boxes: Tensor, gt_boxes: Tensor,
                   gt_labels: Tensor, gt_valid: Tensor,
                   *topk: int) -> list[Tensor]:
        """Queries that could be a ground truth, by several widths of choice.

        Args:
            probs, boxes, gt_boxes, gt_labels, gt_valid: As for
                :meth:`assign_batch`.
            topk (int): Largest IoUs that are summed.

        Returns:
            list[Tensor]: Shape (N, Q, G) bool for each ``topk``; a query may
            be the candidate of one ground truth only.
        """
        pairs = self.pair_costs(probs, boxes, gt_boxes, gt_labels, gt_valid)
        return [
            self.resolve(self.dynamic_topk(pairs, k), pairs.cost)
            for k in topk
        ]

    def pair_costs(self, probs: Tensor, boxes: Tensor, gt_boxes: Tensor,
                   gt_labels: Tensor, gt_valid: Tensor) -> PairCosts:
        """Costs and IoUs of all pairs; see :meth:`assign_batch`."""
        probs, boxes, gt_boxes = probs.float(), boxes.float(), gt_boxes.float()
        cost = focal_cost(probs, gt_labels, self.alpha, self.gamma)
        corners, gt_corners = map(bbox_cxcywh_to_xyxy, (boxes, gt_boxes))
        giou = bbox_overlaps(corners, gt_corners, 'giou', eps=1e-7)
        iou = bbox_overlaps(corners, gt_corners, 'iou', eps=1e-7)
        in_box, in_centre = self._place(boxes, gt_boxes, gt_corners)
        cost = cost - self.giou_weight * giou
        cost = cost + self.outside_centre * ~(in_box & in_centre)
        somewhere = ((in_box | in_centre) & gt_valid[:, None]).any(
            2, keepdim=True)
        cost = cost + self.outside_any * ~somewhere
        return PairCosts(cost.masked_fill(~gt_valid[:, None], torch.inf), iou)

    def _place(self, boxes: Tensor, gt_boxes: Tensor,
               gt_corners: Tensor) -> tuple[Tensor, Tensor]:
        """Whether centres lie in boxes and near their middles, (N, Q, G)."""
        points = boxes[:, :, None, :2]
        in_box = ((points > gt_corners[:, None, :, :2]) &
                  (points < gt_corners[:, None, :, 2:])).all(-1)
        away = (points - gt_boxes[:, None, :, :2]).abs()
        return in_box, (away < self.centre_radius).all(-1)

    def dynamic_topk(self, pairs: PairCosts, topk: int) -> Tensor:
        """The k cheapest queries of each ground truth.

        Args:
            pairs (PairCosts): All pairs.
            topk (int): k is the sum of this many largest IoUs, at least 1.

        Returns:
            Tensor: Shape (N, Q, G) bool.
        """
        most = min(topk, pairs.cost.shape[1])
        wanted = pairs.iou.topk(most, dim=1)[0].sum(1).long().clamp(min=1)
        cheapest = pairs.cost.topk(most, dim=1, largest=False)[1]
        ranks = torch.arange(most, device=wanted.device)
        taken = ranks[:, None] < wanted[:, None]
        matched = torch.zeros_like(pairs.cost, dtype=torch.bool)
        matched.scatter_(1, cheapest, taken)
        return matched & pairs.cost.isfinite()

    @staticmethod
    def resolve(matched: Tensor, cost: Tensor) -> Tensor:
        """Give every query to one ground truth, and each of those a query.

        Args:
            matched (Tensor): Shape (N, Q, G) bool.
            cost (Tensor): Shape (N, Q, G), infinite where there is no ground
                truth.

        Returns:
            Tensor: Shape (N, Q, G) bool, at most one True a query.
        """
        columns = torch.arange(cost.shape[2], device=cost.device)
        contested = matched.sum(2, keepdim=True) > 1
        cheapest = cost.argmin(2, keepdim=True) == columns
        matched = torch.where(contested, cheapest, matched)
        while True:
            free = cost.masked_fill(matched.any(2, keepdim=True), torch.inf)
            lowest, query = free.min(1)
            left = ~matched.any(1) & lowest.isfinite()
            if not left.any():  # each round serves at least one of them
                return matched
            wishes = torch.zeros_like(matched).scatter_(
                1, query[:, None], left[:, None])
            bids = cost.masked_fill(~wishes, torch.inf)
            matched = matched | (
                wishes & (bids.argmin(2, keepdim=True) == columns))
