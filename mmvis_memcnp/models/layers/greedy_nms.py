"""Greedy suppression of boxes and masks without a loop over instances."""
import torch
from torch import Tensor

from .boxes import pairwise_iou


def greedy_keep(overlaps: Tensor) -> Tensor:
    """What greedy non-maximum suppression keeps.

    An instance is kept if no kept one before it overlaps it. The rule is
    applied to all at once until nothing changes: after step k the first k
    instances are final, and mostly all are after two or three. On the CPU,
    since how many are kept decides sizes: one wait for a device.

    Args:
        overlaps: (n, n) bool, whether two instances overlap too much, best
            instance first; only the part above the diagonal is used.

    Returns:
        (k,) int64, the rows of those that are kept, ascending.
    """
    device, overlaps = overlaps.device, overlaps.triu(1).cpu()
    keep = overlaps.new_ones(len(overlaps))
    while True:
        now = ~(overlaps & keep[:, None]).any(dim=0)
        if torch.equal(now, keep):
            return keep.nonzero()[:, 0].to(device, non_blocking=True)
        keep = now


def class_nms(boxes: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Greedy NMS of boxes, each class for itself.

    Args:
        boxes: (n, 4) x1, y1, x2, y2 in pixels, best first.
        labels: (n,) int64.
        threshold: a larger IoU with a kept box of the class suppresses.

    Returns:
        See :func:`greedy_keep`.
    """
    same = labels[:, None] == labels
    return greedy_keep(same & (pairwise_iou(boxes, boxes) > threshold))


def mask_iou(masks: Tensor) -> Tensor:
    """IoU of all pairs of masks; two empty masks are the same.

    Args:
        masks: (n, h, w) bool.

    Returns:
        (n, n) float32 in [0, 1].
    """
    flat = masks.flatten(1).float()
    # Counts above 2048 do not fit half precision.
    with torch.autocast(masks.device.type, enabled=False):
        inter = flat @ flat.t()
    area = inter.diagonal()
    union = area[:, None] + area - inter
    return (inter + 1e-6) / (union + 1e-6)


def mask_nms(masks: Tensor, threshold: float) -> Tensor:
    """Greedy NMS of masks, across classes.

    Args:
        masks: (n, h, w) bool, best first.
        threshold: a larger IoU with a kept mask suppresses.

    Returns:
        See :func:`greedy_keep`.
    """
    return greedy_keep(mask_iou(masks) > threshold)
