"""Fast NMS of YOLACT (Bolya et al., ICCV 2019)."""
from typing import Tuple

import torch
from mmdet.models.layers import fast_nms as mmdet_fast_nms
from torch import Tensor


def fast_nms(boxes: Tensor, scores: Tensor, iou_thr: float, score_thr: float,
             pre_nms: int, max_per_img: int
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parallel NMS of each class, then the best detections of all classes.

    A box is dropped if any better box of its class overlaps it, even one that
    is dropped itself. A box may survive under several classes. mmdet's
    function, in the layout of a dense head, and with the rows that it chose.

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
    rows = torch.arange(len(boxes), device=boxes.device)
    if not len(boxes):
        return boxes, scores.new_zeros(0), rows, rows
    # mmdet wants a background class last, and ignores it.
    scores = torch.cat((scores, scores.new_zeros(1, len(boxes)))).t()
    detections, labels, rows = mmdet_fast_nms(boxes, scores, rows[:, None],
                                              score_thr, iou_thr, pre_nms,
                                              max_per_img)
    return detections[:, :4], detections[:, 4], labels, rows[:, 0]
