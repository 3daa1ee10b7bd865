"""Selections by location alone: the alternatives of the paper's Table 9."""
from collections.abc import Sequence

from mmdet.registry import TASK_UTILS
from torch import Tensor

from ...layers import distances_to_sides
from .assigner import PointAssigner, PointBatch
from .geometry import smallest_of


def centre_offsets(batch: PointBatch) -> tuple[Tensor, Tensor]:
    """x and y offset from each box centre to each point, (B, N, G) pixels."""
    centres = (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2
    return (batch.points[..., None, 0] - centres[:, None, :, 0],
            batch.points[..., None, 1] - centres[:, None, :, 1])


class LocationAssigner(PointAssigner):
    """Positives are the points that a rule allows for some ground truth.

    Where it allows several, the smallest box takes the point. All other
    points are negatives.
    """

    #: Added to the sides of boxes whose areas are compared.
    box_offset = 0.

    def select(self, batch: PointBatch) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`PointAssigner`."""
        allowed = self.allowed(batch) & batch.valid[:, None]
        own = smallest_of(allowed, batch.boxes, self.box_offset)
        return own >= 0, own < 0, own

    def allowed(self, batch: PointBatch) -> Tensor:
        """Whether a point may stand for a ground truth, (B, N, G) bool."""
        raise NotImplementedError


@TASK_UTILS.register_module()
class YOLOCellAssigner(LocationAssigner):
    """The cell that holds the object's centre, on every level.

    After YOLO's rule of responsibility. The point of the cell must lie in
    the box, so that a head that regresses distances can reach its edges:
    small objects lose their coarse levels.
    """

    def allowed(self, batch: PointBatch) -> Tensor:
        """See :class:`LocationAssigner`."""
        half = batch.strides[..., None] / 2
        dx, dy = centre_offsets(batch)
        # A cell owns its left and top border.
        holds = (-half < dx) & (dx <= half) & (-half < dy) & (dy <= half)
        return holds & batch.contains


@TASK_UTILS.register_module()
class ObjectBoxAssigner(LocationAssigner):
    """The object's centre location on every level, whatever the box's size.

    After ObjectBox: the cell of the centre and the neighbours it leans to,
    that is the points less than one stride from the centre in x and in y, up
    to four a level. They need not lie in the box.
    """

    def allowed(self, batch: PointBatch) -> Tensor:
        """See :class:`LocationAssigner`."""
        stride = batch.strides[..., None]
        dx, dy = centre_offsets(batch)
        return (dx.abs() < stride) & (dy.abs() < stride)


@TASK_UTILS.register_module()
class FCOSPointAssigner(LocationAssigner):
    """Points strictly in a box whose farthest edge is in their level's range.

    Args:
        regress_ranges (Sequence[tuple[float, float]]): A level's range of
            the largest distance to an edge, in pixels, bounds included.
            Defaults to FCOS's, for four levels.
        center_sampling (bool): Take only points within ``radius`` strides of
            the centre in x and y. Defaults to False.
        radius (float): Defaults to 1.5.
        box_offset (float): 1 if a box includes its last pixel: its area is
            (w + 1) * (h + 1). Defaults to 0.
    """

    def __init__(self,
                 regress_ranges: Sequence[tuple[float, float]] = (
                     (-1, 64), (64, 128), (128, 256), (256, 1e8)),
                 center_sampling: bool = False,
                 radius: float = 1.5,
                 box_offset: float = 0.) -> None:
        self.box_offset = box_offset
        self.regress_ranges = tuple(tuple(r) for r in regress_ranges)
        self.center_sampling = center_sampling
        self.radius = radius

    def allowed(self, batch: PointBatch) -> Tensor:
        """See :class:`LocationAssigner`."""
        sides = distances_to_sides(batch.points[:, :, None],
                                   batch.boxes[:, None])
        farthest = sides.amax(-1)
        ranges = farthest.new_tensor(self.regress_ranges)[batch.levels]
        allowed = (farthest >= ranges[:, :1]) & (farthest <= ranges[:, 1:]) & (
            sides.amin(-1) > 0)
        if self.center_sampling:
            dx, dy = centre_offsets(batch)
            reach = self.radius * batch.strides[..., None]
            allowed &= (dx.abs() < reach) & (dy.abs() < reach)
        return allowed
