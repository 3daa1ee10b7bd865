"""Selection of the points of dense heads."""
from .assigner import PointAssigner, PointAssignment, PointBatch
from .geometry import PointTargets, SmallestBoxTarget, pad_boxes
from .locations import (
    CentreRadiusAssigner,
    FCOSPointAssigner,
    ObjectBoxAssigner,
    YOLOCellAssigner,
)
from .uss import USSAssigner

__all__ = [
    'CentreRadiusAssigner', 'FCOSPointAssigner', 'ObjectBoxAssigner',
    'PointAssigner', 'PointAssignment', 'PointBatch', 'PointTargets',
    'SmallestBoxTarget', 'USSAssigner', 'YOLOCellAssigner', 'pad_boxes'
]
