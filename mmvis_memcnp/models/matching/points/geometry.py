"""Where points lie in ground-truth boxes, batched over images."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...layers import distances_to_sides


class PointTargets(NamedTuple):
    """What the ground truth says about each point of a batch."""
    gt_index: Tensor  # (B, N) int64, -1 in an image without ground truth
    ltrb: Tensor  # (B, N, 4) pixel distances to its edges, negative outside
    inside: Tensor  # (B, N) bool, whether the point lies in that box


def inside_boxes(points: Tensor, boxes: Tensor,
                 with_edges: bool = False) -> Tensor:
    """Whether points lie inside boxes.

    Args:
        points (Tensor): Shape (B or 1, N, 2), pixels.
        boxes (Tensor): Shape (B, G, 4), xyxy pixels.
        with_edges (bool): Whether a point on an edge counts as inside.
            Defaults to False.

    Returns:
        Tensor: Shape (B, N, G) bool.
    """
    x, y = points[..., None, 0], points[..., None, 1]
    x1, y1, x2, y2 = boxes[:, None].unbind(-1)
    if with_edges:
        return (x >= x1) & (y >= y1) & (x <= x2) & (y <= y2)
    return (x > x1) & (y > y1) & (x < x2) & (y < y2)


def smallest_of(allowed: Tensor, boxes: Tensor,
                offset: float = 0.) -> Tensor:
    """The smallest allowed box of each point, by area, first one on ties.

    Args:
        allowed (Tensor): Shape (B, N, G) bool.
        boxes (Tensor): Shape (B, G, 4).
        offset (float): Added to each width and height; 1 if a box includes
            its last pixel. Defaults to 0.

    Returns:
        Tensor: Shape (B, N) int64, -1 where no box is allowed.
    """
    areas = (boxes[..., 2:] - boxes[..., :2] + offset).prod(-1)[:, None]
    candidates = torch.where(allowed, areas, torch.inf)
    return candidates.argmin(-1).masked_fill(~allowed.any(-1), -1)


def nearest_centre(points: Tensor, boxes: Tensor, valid: Tensor) -> Tensor:
    """The valid box with the nearest centre, first one on ties.

    Args:
        points (Tensor): Shape (B or 1, N, 2).
        boxes (Tensor): Shape (B, G, 4).
        valid (Tensor): Shape (B, G) bool.

    Returns:
        Tensor: Shape (B, N) int64, -1 in an image without a valid box.
    """
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    squared = (points[..., None, 0] - centres[:, None, :, 0]).square()
    squared = squared + (points[..., None, 1] -
                         centres[:, None, :, 1]).square()
    squared = squared.masked_fill(~valid[:, None], torch.inf)
    nearest = squared.argmin(-1)
    return nearest.masked_fill(~valid.any(-1, keepdim=True), -1)


def edge_distances(points: Tensor, boxes: Tensor, gt_index: Tensor) -> Tensor:
    """Distances of each point to the edges of its own box.

    Args:
        points (Tensor): Shape (B or 1, N, 2).
        boxes (Tensor): Shape (B, G, 4).
        gt_index (Tensor): Shape (B, N) int64; -1 gives zeros.

    Returns:
        Tensor: Shape (B, N, 4), left, top, right, bottom, negative where the
        point is beyond the edge.
    """
    index = gt_index.clamp(min=0)[..., None].expand(-1, -1, 4)
    own = boxes.gather(1, index)
    ltrb = distances_to_sides(points, own)
    return ltrb.masked_fill(gt_index[..., None] < 0, 0)


@TASK_UTILS.register_module()
class SmallestBoxTarget:
    """Box of each point: the smallest that contains it, else the nearest.

    What MemCNP writes into its memory next to the feature of a point; only
    points strictly inside a box are written (min(y) > 0 in eq 8).
    """

    @torch.no_grad()
    def __call__(self, points: Tensor, boxes: Tensor,
                 valid: Tensor) -> PointTargets:
        """Targets of a batch.

        Args:
            points (Tensor): Shape (N, 2) or (B, N, 2), pixels.
            boxes (Tensor): Shape (B, G, 4), xyxy pixels, padded.
            valid (Tensor): Shape (B, G) bool, False for padding.

        Returns:
            PointTargets: Of B x N points.
        """
        points, boxes, valid = as_batch(points, boxes, valid)
        contains = inside_boxes(points, boxes) & valid[:, None]
        own = smallest_of(contains, boxes)
        inside = own >= 0
        own = torch.where(inside, own, nearest_centre(points, boxes, valid))
        return PointTargets(own, edge_distances(points, boxes, own), inside)


def as_batch(points: Tensor, boxes: Tensor,
             valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points (1 or B, N, 2) and at least one, perhaps invalid, box an image.

    Reductions over no box at all are not defined; one that counts for nothing
    spares every caller the case.
    """
    if points.dim() == 2:
        points = points[None]
    if boxes.size(1) == 0:
        boxes = boxes.new_zeros(len(boxes), 1, 4)
        valid = valid.new_zeros(len(valid), 1)
    return points, boxes.to(points.dtype), valid


def pad_boxes(boxes_list: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack the boxes of several images.

    Args:
        boxes_list (Sequence[Tensor]): Shapes (G_i, 4); G_i may be 0.

    Returns:
        tuple[Tensor, Tensor]: Boxes (B, max G, 4), zero padded, and a bool
        mask (B, max G) of the real ones.
    """
    boxes = torch.nn.utils.rnn.pad_sequence(
        list(boxes_list), batch_first=True)
    counts = torch.tensor([len(b) for b in boxes_list], device=boxes.device)
    valid = torch.arange(boxes.size(1), device=boxes.device) < counts[:, None]
    return boxes, valid
