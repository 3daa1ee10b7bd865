"""Box arithmetic with the pixel conventions of the systems here."""
import torch
from torch import Tensor

EPS = 1e-9


def pairwise_iou(boxes1: Tensor, boxes2: Tensor, offset: float = 0.) -> Tensor:
    """IoU of every box of one set with every box of another.

    Args:
        boxes1: (..., N, 4) as x1, y1, x2, y2.
        boxes2: (..., M, 4).
        offset: added to each width and height; 1 is the old convention in
            which a box from pixel 3 to pixel 3 is one pixel wide.

    Returns:
        (..., N, M) in [0, 1].
    """
    return _iou(boxes1[..., :, None, :], boxes2[..., None, :, :], offset)


def aligned_iou(boxes1: Tensor, boxes2: Tensor, offset: float = 0.) -> Tensor:
    """IoU of box i of one set with box i of the other.

    Args:
        boxes1: (..., 4) as x1, y1, x2, y2.
        boxes2: (..., 4).
        offset: see :func:`pairwise_iou`.

    Returns:
        (...) in [0, 1].
    """
    return _iou(boxes1, boxes2, offset)


def aligned_giou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Generalised IoU of box i of one set with box i of the other.

    Args:
        boxes1: (..., 4) as x1, y1, x2, y2.
        boxes2: (..., 4), broadcastable.

    Returns:
        (...) in [-1, 1].
    """
    low = torch.maximum(boxes1[..., :2], boxes2[..., :2])
    high = torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area1 = (boxes1[..., 2:] - boxes1[..., :2]).prod(-1)
    area2 = (boxes2[..., 2:] - boxes2[..., :2]).prod(-1)
    union = area1 + area2 - inter
    hull = (torch.maximum(boxes1[..., 2:], boxes2[..., 2:]) -
            torch.minimum(boxes1[..., :2], boxes2[..., :2])).prod(-1)
    return inter / (union + 1e-7) - (hull - union) / (hull + 1e-7)


def _iou(boxes1: Tensor, boxes2: Tensor, offset: float) -> Tensor:
    low = torch.maximum(boxes1[..., :2], boxes2[..., :2])
    high = torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    inter = (high - low + offset).clamp(min=0).prod(-1)
    area1 = (boxes1[..., 2:] - boxes1[..., :2] + offset).prod(-1)
    area2 = (boxes2[..., 2:] - boxes2[..., :2] + offset).prod(-1)
    return inter / (area1 + area2 - inter).clamp(min=1e-6)


def distances_to_sides(points: Tensor, boxes: Tensor) -> Tensor:
    """Left, top, right and bottom distances from points to the box sides.

    Args:
        points: (..., 2) as x, y.
        boxes: (..., 4) as x1, y1, x2, y2, broadcastable to the points.

    Returns:
        (..., 4); all positive exactly where the point lies inside its box.
    """
    return torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1)


def sides_to_boxes(points: Tensor, distances: Tensor) -> Tensor:
    """Inverse of :func:`distances_to_sides`.

    Args:
        points: (..., 2) as x, y.
        distances: (..., 4) left, top, right, bottom.

    Returns:
        (..., 4) as x1, y1, x2, y2.
    """
    return torch.cat(
        [points - distances[..., :2], points + distances[..., 2:]], -1)


def centreness(distances: Tensor) -> Tensor:
    """Centre-ness of FCOS (eq 3), sqrt(min(l,r)/max(l,r)*min(t,b)/max(t,b)).

    Args:
        distances: (..., 4) left, top, right, bottom.

    Returns:
        (...) in [0, 1]: 1 at the centre, 0 on and beyond a side.
    """
    left, top, right, bottom = distances.clamp(min=0).unbind(-1)
    horizontal = torch.minimum(left, right) / (
        torch.maximum(left, right) + EPS)
    vertical = torch.minimum(top, bottom) / (torch.maximum(top, bottom) + EPS)
    return (horizontal * vertical).sqrt()


def level_points(sizes: list[tuple[int, int]], strides: list[int],
                 device: torch.device | str) -> list[Tensor]:
    """Centres of the cells of a feature pyramid.

    Args:
        sizes: (H, W) of each level.
        strides: pixels between two cells of each level.
        device: where the points live.

    Returns:
        A (H * W, 2) float tensor of x, y in pixels for each level, row by row.
    """
    out = []
    for (height, width), stride in zip(sizes, strides, strict=True):
        ys = torch.arange(height, device=device) * stride + stride // 2
        xs = torch.arange(width, device=device) * stride + stride // 2
        grid_y, grid_x = torch.meshgrid(ys, xs, indexing='ij')
        out.append(
            torch.stack([grid_x.reshape(-1), grid_y.reshape(-1)], -1).float())
    return out


def jitter_boxes(boxes: Tensor, amount: float = 0.05) -> Tensor:
    """Shift centres and scale sizes at random (reference boxes of SipMask).

    Args:
        boxes: (..., 4) as x1, y1, x2, y2.
        amount: largest change, as a fraction of width and height.

    Returns:
        Boxes of the same shape.
    """
    if not amount:
        return boxes
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    size = boxes[..., 2:] - boxes[..., :2]
    noise = torch.empty(
        *boxes.shape[:-1], 2, 2, device=boxes.device,
        dtype=boxes.dtype).uniform_(-amount, amount)
    centre = centre + noise[..., 0, :] * size
    half = size * (1 + noise[..., 1, :]) / 2
    return torch.cat([centre - half, centre + half], -1)
