"""Fast NMS of YOLACT (Bolya et al., ICCV 2019)."""
from typing import Tuple

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor


def fast_nms(boxes: Tensor, scores: Tensor, iou_thr: float, score_thr: float,
             pre_nms: int, max_per_img: int
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parallel NMS of each class, then the best detections of all classes.

    A box is dropped if any better box of its class overlaps it, even one that
    is dropped itself. A box may survive under several classes.

    Args:
        boxes (Tensor): Shape (N, 4), xyxy.
        scores (Tensor): Shape (C, N).
        iou_thr (float): Largest IoU with a better box that is kept.
        score_thr (float): Scores must be larger than this.
        pre_nms (int): Best boxes of each class that take part.
        max_per_img (int): Detections to return at most.

    Returns:
        tuple[Tensor, Tensor, Tensor, Tensor]: Boxes (n, 4), scores (n,),
        labels (n,) int64 in [0, C) and rows (n,) int64 of ``boxes``, best
        score first.
    """
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    scores, order = scores[:, :pre_nms], order[:, :pre_nms]
    candidates = boxes[order]  # (C, n, 4)
    if order.size(1):
        overlaps = bbox_overlaps(candidates, candidates).triu(diagonal=1)
        keep = (overlaps.amax(dim=1) <= iou_thr) & (scores > score_thr)
    else:
        keep = torch.zeros_like(order, dtype=torch.bool)
    labels = torch.arange(
        len(scores), device=boxes.device)[:, None].expand_as(order)[keep]
    scores, best = scores[keep].sort(descending=True, stable=True)
    best = best[:max_per_img]
    return (candidates[keep][best], scores[:max_per_img], labels[best],
            order[keep][best])
