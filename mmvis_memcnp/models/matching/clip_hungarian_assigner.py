"""Queries of clips to the objects of clips, one to one."""
from typing import NamedTuple

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..layers.boxes import aligned_giou
from .focal_cost import focal_cost


class ClipMatches(NamedTuple):
    """M pairs, by clip and within a clip by query; (M,) int64 each."""
    clip: Tensor
    query: Tensor
    gt: Tensor


@TASK_UTILS.register_module()
class ClipHungarianAssigner:
    """Hungarian assignment on class, box and GIoU costs of whole clips.

    The box cost is the distance of two vectors of T x 4 numbers, the GIoU
    cost the mean over the frames. Frames in which an object is absent take
    part, with a box of zeros.

    Args:
        cls_weight (float): Of the focal class cost. Defaults to 2.
        bbox_weight (float): Of the box cost. Defaults to 5.
        iou_weight (float): Of the GIoU cost. Defaults to 2.
        box_norm (float): 1 sums absolute differences, as the paper says; 2
            is Euclidean, as released. Defaults to 2.
        alpha (float): Of the focal cost. Defaults to 0.25.
        gamma (float): Of the focal cost. Defaults to 2.
    """

    def __init__(self,
                 cls_weight: float = 2.,
                 bbox_weight: float = 5.,
                 iou_weight: float = 2.,
                 box_norm: float = 2.,
                 alpha: float = .25,
                 gamma: float = 2.) -> None:
        self.cls_weight = cls_weight
        self.bbox_weight = bbox_weight
        self.iou_weight = iou_weight
        self.box_norm = box_norm
        self.alpha = alpha
        self.gamma = gamma

    def cost(self, logits: Tensor, boxes: Tensor, gt_labels: Tensor,
             gt_boxes: Tensor) -> Tensor:
        """Cost of every pair.

        Args:
            logits (Tensor): Shape (B, Q, K), float32.
            boxes (Tensor): Shape (B, Q, T, 4), cx, cy, w, h in [0, 1].
            gt_labels (Tensor): Shape (B, G) int64.
            gt_boxes (Tensor): Shape (B, G, T, 4).

        Returns:
            Tensor: Shape (B, Q, G).
        """
        cls = focal_cost(logits.sigmoid(), gt_labels, self.alpha, self.gamma)
        box = torch.cdist(boxes.flatten(2), gt_boxes.flatten(2),
                          p=self.box_norm)
        giou = aligned_giou(
            bbox_cxcywh_to_xyxy(boxes)[:, :, None],
            # A box of zeros must not divide by zero.
            bbox_cxcywh_to_xyxy(gt_boxes).clamp(1e-7, 1)[:, None]).mean(-1)
        return (self.cls_weight * cls + self.bbox_weight * box -
                self.iou_weight * giou)

    @torch.no_grad()
    def assign_batch(self, logits: Tensor, boxes: Tensor, gt_labels: Tensor,
                     gt_boxes: Tensor, gt_valid: Tensor) -> ClipMatches:
        """Assign the objects of a batch of clips.

        Args:
            logits (Tensor): Shape (B, Q, K).
            boxes (Tensor): Shape (B, Q, T, 4), cx, cy, w, h in [0, 1].
            gt_labels (Tensor): Shape (B, G) int64, padded.
            gt_boxes (Tensor): Shape (B, G, T, 4), padded.
            gt_valid (Tensor): Shape (B, G) bool, False where padded.

        Returns:
            ClipMatches: One query for each object (for Q of them if there
            are more).
        """
        with torch.autocast(logits.device.type, enabled=False):
            cost = self.cost(logits.float(), boxes.float(), gt_labels,
                             gt_boxes)
        # Whatever is not finite is reported by the losses, not by scipy.
        cost = torch.nan_to_num(cost, 1e8, 1e8, -1e8).cpu()
        pairs = []
        for b, (matrix, valid) in enumerate(
                zip(cost, gt_valid.cpu(), strict=True)):
            columns = valid.nonzero()[:, 0]
            query, index = map(
                torch.from_numpy, linear_sum_assignment(matrix[:, columns]))
            pairs.append(
                torch.stack((torch.full_like(query, b), query,
                             columns[index])))
        return ClipMatches(*torch.cat(pairs, dim=1).to(logits.device))
