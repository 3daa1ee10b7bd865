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
from .query_matcher import ClipAssignment, ClipQueryMatcher
from .query_sim_ota import QuerySimOTAAssigner, SimOTAAssignment
from .query_uss import QueryAssignment, QueryUSSAssigner
from .uss_assigner import USSAssigner

__all__ = [
    'CentreRadiusAssigner', 'ClipAssignment', 'ClipHungarianAssigner',
    'ClipMatches', 'ClipQueryMatcher',
    'FCOSPointAssigner', 'ObjectBoxAssigner',
    'PointAssigner', 'PointAssignment', 'PointBatch', 'PointTargets',
    'QueryAssignment', 'QuerySimOTAAssigner', 'QueryUSSAssigner',
    'SimOTAAssignment', 'SmallestBoxTarget', 'USSAssigner',
    'YOLOCellAssigner', 'pad_boxes'
]
