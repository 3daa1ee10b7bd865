"""Which object a point of a dense head belongs to."""
from typing import NamedTuple

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...structures.ground_truth import GroundTruth
from ..layers import centerness, distances_to_sides


class PointTargets(NamedTuple):
    """Ground truth seen from the points of B frames.

    Attributes:
        gt_index: (B, N) int64 object of each point.
        distances: (B, N, 4) left, top, right, bottom distances in pixels to
            the sides of that object's box.
        centerness: (B, N) in [0, 1], 0 outside every box.
        inside: (B, N) bool, the point lies inside some box.
        write: (B, N) bool, the point may be written into the memory.
    """
    gt_index: Tensor
    distances: Tensor
    centerness: Tensor
    inside: Tensor
    write: Tensor


def nearest_object(points: Tensor, boxes: Tensor, valid: Tensor) -> Tensor:
    """The smallest box that contains a point, else the nearest centre.

    Args:
        points: (N, 2) x, y in pixels.
        boxes: (B, G, 4) x1, y1, x2, y2 in pixels.
        valid: (B, G) bool.

    Returns:
        (B, N) int64 index into the boxes; 0 where there is no valid box.
    """
    boxes = boxes[:, None]
    inside = (distances_to_sides(points[:, None], boxes).amin(-1) > 0) & \
        valid[:, None]
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    away = (points[:, None] - centre).square().sum(-1)
    away = away.masked_fill(~valid[:, None], torch.inf)
    return torch.where(
        inside.any(-1),
        torch.where(inside, area, torch.inf).argmin(-1), away.argmin(-1))


@TASK_UTILS.register_module()
class PointTargetMaker:
    """Targets of points by the smallest box that contains them.

    Points outside every box belong to the object with the nearest centre,
    have centre-ness 0 and are never written into the memory (the indicator of
    eq 8 of the paper).
    """

    def __call__(self, points: list[Tensor], sizes: list[tuple[int, int]],
                 gt: GroundTruth) -> PointTargets:
        """Targets of all points.

        Args:
            points: (N_l, 2) x, y in pixels, level by level.
            sizes: (H, W) of each level.
            gt: objects of B frames.

        Returns:
            Targets over the concatenated levels.
        """
        xy = torch.cat(points)
        index = nearest_object(xy, gt.boxes, gt.valid)
        boxes = gt.boxes.gather(1, index[..., None].expand(-1, -1, 4))
        distances = distances_to_sides(xy, boxes)
        inside = (distances.amin(-1) > 0) & gt.valid.any(1, keepdim=True)
        return PointTargets(index, distances,
                            centerness(distances) * inside, inside, inside)
