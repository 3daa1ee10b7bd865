"""Assigners and other registered task utilities."""
from .clip_hungarian_assigner import ClipHungarianAssigner, ClipMatches
from .points.assigner import PointAssigner, PointAssignment, PointBatch
from .points.geometry import (
    PointTargets,
    SmallestBoxTarget,
    pad_boxes,
)
from .points.locations import (
    CentreRadiusAssigner,
    FCOSPointAssigner,
    ObjectBoxAssigner,
    YOLOCellAssigner,
)
from .points.uss import USSAssigner
from .query_matcher import ClipAssignment, ClipQueryMatcher
from .query_sim_ota import QuerySimOTAAssigner, SimOTAAssignment
from .query_uss import QueryAssignment, QueryUSSAssigner

__all__ = [
    'CentreRadiusAssigner', 'ClipAssignment', 'ClipHungarianAssigner',
    'ClipMatches', 'ClipQueryMatcher',
    'FCOSPointAssigner', 'ObjectBoxAssigner',
    'PointAssigner', 'PointAssignment', 'PointBatch', 'PointTargets',
    'QueryAssignment', 'QuerySimOTAAssigner', 'QueryUSSAssigner',
    'SimOTAAssignment', 'SmallestBoxTarget', 'USSAssigner',
    'YOLOCellAssigner', 'pad_boxes'
]
