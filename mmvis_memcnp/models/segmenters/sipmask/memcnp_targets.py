"""What the points of the MemCNP head are to learn."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ...layers import centreness, distances_to_sides
from ...matching.points.geometry import inside_boxes, smallest_of
from ...memcnp.hosts.sipmask import SelectedPoints
from ...truth.ground_truth import GroundTruth


def centreness_targets(points: Tensor, sizes: list[tuple[int, int]],
                       gt: GroundTruth,
                       level: str = 'own') -> tuple[Tensor, Tensor]:
    """Which points lie in (or on) a box, and how central they are.

    Args:
        points (Tensor): Shape (N, 2), of all levels, pixels.
        sizes (list[tuple[int, int]]): (H, W) of each level.
        gt (GroundTruth): Objects of B frames.
        level (str): ``'own'`` computes the centre-ness at every point;
            ``'finest'`` on the finest level only, the coarser ones being
            bilinear reductions of it, as in the released code.

    Returns:
        tuple[Tensor, Tensor]: (B, N) bool, and (B, N) the largest centre-ness
        in any box, 0 outside all.
    """
    sides = distances_to_sides(points[:, None], gt.boxes[:, None])
    inside = ((sides.amin(-1) >= 0) & gt.valid[:, None]).any(-1)
    best = (centreness(sides) * gt.valid[:, None]).amax(-1)
    if level == 'own':
        return inside, best
    finest = best[:, :sizes[0][0] * sizes[0][1]].view(-1, 1, *sizes[0])
    return inside, torch.cat([
        F.interpolate(
            finest, size=size, mode='bilinear',
            align_corners=False).flatten(1) for size in sizes
    ], 1)


def selected_points(gt_index: Tensor, cls_logits: Tensor,
                    boxes: Tensor, gt: GroundTruth) -> SelectedPoints:
    """Points of B frames that have an object, and what it is.

    Args:
        gt_index (Tensor): Shape (B, N) int64, object of each point, -1 for
            none, such as ``Matches.gt_index``.
        cls_logits (Tensor): Shape (B, N, num_classes).
        boxes (Tensor): Shape (B, N, 4), predictions in pixels.
        gt (GroundTruth): Objects of the B frames.

    Returns:
        SelectedPoints: In the order of frames and points.
    """
    image, point = (gt_index >= 0).nonzero(as_tuple=True)
    own = gt_index[image, point]
    labels = gt.labels[image, own]
    return SelectedPoints(
        image, point, own, labels, boxes[image, point], gt.boxes[image, own],
        cls_logits.detach()[image, point, labels].sigmoid())


def owners(points: Tensor, gt: GroundTruth) -> Tensor:
    """The smallest box that each point lies in, (B, N) int64, -1 for none.

    Args:
        points (Tensor): Shape (N, 2), pixels.
        gt (GroundTruth): Objects of B frames.
    """
    contains = inside_boxes(points[None], gt.boxes, True) & gt.valid[:, None]
    return smallest_of(contains, gt.boxes)
