"""Assigners and other registered task utilities."""
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
from .query_matcher import ClipAssignment, ClipQueryMatcher
from .uss_assigner import USSAssigner

__all__ = [
    'CentreRadiusAssigner', 'ClipAssignment', 'ClipQueryMatcher',
    'FCOSPointAssigner', 'ObjectBoxAssigner',
    'PointAssigner', 'PointAssignment', 'PointBatch', 'PointTargets',
    'SmallestBoxTarget', 'USSAssigner', 'YOLOCellAssigner', 'pad_boxes'
]
