"""Fast NMS of YOLACT (Bolya et al., ICCV 2019)."""
import torch
from mmdet.models.layers import fast_nms as mmdet_fast_nms
from torch import Tensor

#: What may be a detection, and what drops what; see :func:`fast_nms`.
NMS_RULES = ('every_label', 'one_label', 'class_agnostic')


def fast_nms(boxes: Tensor, scores: Tensor, iou_thr: float, score_thr: float,
             pre_nms: int, max_per_img: int, rule: str = 'every_label'
             ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parallel NMS, then the best detections of all classes.

    A box is dropped if any better box overlaps it, even one that is dropped
    itself. mmdet's function, in the layout of a dense head, and with the rows
    that it chose.

    Args:
        boxes (Tensor): Shape (N, 4), xyxy.
        scores (Tensor): Shape (C, N).
        iou_thr (float): Largest IoU with a better box that is kept.
        score_thr (float): Scores must be larger than this.
        pre_nms (int): Best boxes of each class that take part.
        max_per_img (int): Detections to return at most.
        rule (str): 'every_label': better boxes of the same class drop a box,
            which may survive under several classes, as published; 'one_label':
            the same with the best class of each box alone; 'class_agnostic':
            with the best class alone, and better boxes of any class drop it.
            Each rule gives fewer detections than the one before. Defaults to
            'every_label'.

    Returns:
        tuple[Tensor, Tensor, Tensor, Tensor]: Boxes (n, 4), scores (n,),
        labels (n,) int64 in [0, C) and rows (n,) int64 of ``boxes``, best
        score first.
    """
    rows = torch.arange(len(boxes), device=boxes.device)
    if not len(boxes):
        return boxes, scores.new_zeros(0), rows, rows
    best, label = scores.max(0)
    if rule == 'one_label':
        scores = torch.zeros_like(scores).scatter(0, label[None], best[None])
    elif rule == 'class_agnostic':
        scores = best[None]
    # mmdet wants a background class last, and ignores it.
    scores = torch.cat((scores, scores.new_zeros(1, len(boxes)))).t()
    detections, labels, rows = mmdet_fast_nms(boxes, scores, rows[:, None],
                                              score_thr, iou_thr, pre_nms,
                                              max_per_img)
    rows = rows[:, 0]
    if rule == 'class_agnostic':
        labels = label[rows]
    return detections[:, :4], detections[:, 4], labels, rows
