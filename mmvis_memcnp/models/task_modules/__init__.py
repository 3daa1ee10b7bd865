"""Assigners and other registered task utilities."""
from .clip_hungarian_assigner import ClipHungarianAssigner, ClipMatches
from .location_assigners import (
    CentreRadiusAssigner,
    FCOSPointAssigner,
    ObjectBoxAssigner,
    YOLOCellAssigner,
)
from .point_assigner import PointAssigner, PointAssignment, PointBatch
from .point_geometry import (
    PointTargets,
    SmallestBoxTarget,
    pad_boxes,
)
from .uss_assigner import USSAssigner

__all__ = [
    'CentreRadiusAssigner', 'ClipHungarianAssigner', 'ClipMatches',
    'FCOSPointAssigner', 'ObjectBoxAssigner',
    'PointAssigner', 'PointAssignment', 'PointBatch', 'PointTargets',
    'SmallestBoxTarget', 'USSAssigner', 'YOLOCellAssigner', 'pad_boxes'
]
