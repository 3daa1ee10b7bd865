"""Selection of the points of dense heads."""
from .assigner import PointAssigner, PointBatch
from .geometry import PointTargets, SmallestBoxTarget, pad_boxes
from .locations import (
    FCOSPointAssigner,
    ObjectBoxAssigner,
    YOLOCellAssigner,
)
from .uss import USSAssigner

__all__ = [
    'FCOSPointAssigner', 'ObjectBoxAssigner', 'PointAssigner', 'PointBatch',
    'PointTargets', 'SmallestBoxTarget', 'USSAssigner', 'YOLOCellAssigner',
    'pad_boxes'
]
