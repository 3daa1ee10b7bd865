"""Greedy non-maximum suppression, without a loop over boxes."""
import torch
from torch import Tensor

# Pairs compared at once: bounds the temporaries of the overlap matrix.
_PAIRS = 1 << 22


def _overlaps(boxes: Tensor, threshold: float, offset: int) -> Tensor:
    """Which earlier box overlaps which later one by more than ``threshold``.

    Args:
        boxes (Tensor): (n, 4) xyxy, best first.
        threshold (float): IoU in [0, 1].
        offset (int): Added to width and height, 0 or 1.

    Returns:
        Tensor: (n, n) bool, true at [i, j] only where i < j.
    """
    n = len(boxes)
    x1, y1, x2, y2 = boxes.unbind(1)
    area = (x2 - x1 + offset) * (y2 - y1 + offset)
    result = torch.zeros((n, n), dtype=torch.bool, device=boxes.device)
    rows = max(1, _PAIRS // n)
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        width = (torch.minimum(x2[part, None], x2) -
                 torch.maximum(x1[part, None], x1) + offset).clamp(min=0)
        height = (torch.minimum(y2[part, None], y2) -
                  torch.maximum(y1[part, None], y1) + offset).clamp(min=0)
        inter = width * height
        result[part] = inter / (area[part, None] + area - inter) > threshold
    return result.triu_(diagonal=1)


def nms(boxes: Tensor,
        scores: Tensor,
        iou_threshold: float = 0.5,
        offset: int = 0) -> Tensor:
    """Stand-in of mmcv's ``nms``.

    A box is kept if no kept box of higher score overlaps it. This recursion is
    solved by repetition until nothing changes: after step k the decision on
    every box whose chain of suppressors is at most k long is final, so the
    fixed point is the greedy result, reached in as many steps as the longest
    chain.

    Args:
        boxes (Tensor): (n, 4) xyxy in pixels.
        scores (Tensor): (n,).
        iou_threshold (float): Boxes that overlap by more are suppressed.
        offset (int): Added to width and height, 0 or 1.

    Returns:
        Tensor: (k,) int64 indices of the kept boxes, best first.
    """
    order = scores.sort(descending=True, stable=True).indices
    if len(order) == 0:
        return order
    # 16-bit areas of boxes beyond 256 pixels overflow or lose the overlap.
    boxes = boxes[order].to(torch.promote_types(boxes.dtype, torch.float32))
    overlaps = _overlaps(boxes, iou_threshold, offset)
    keep = torch.ones_like(order, dtype=torch.bool)
    while True:
        now = ~(overlaps & keep[:, None]).any(dim=0)
        if torch.equal(now, keep):
            return order[keep]
        keep = now
