"""Assigners and other registered task utilities."""
from .clip_hungarian_assigner import ClipHungarianAssigner, ClipMatches
from .mask_costs import SampledMaskCost
from .one_to_one import OneToOneMatcher, one_to_one
from .pairs import QueryPairs
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
    'FCOSPointAssigner', 'ObjectBoxAssigner', 'OneToOneMatcher',
    'PointAssigner', 'PointAssignment', 'PointBatch', 'PointTargets',
    'QueryAssignment', 'QueryPairs', 'QuerySimOTAAssigner',
    'QueryUSSAssigner',
    'SampledMaskCost', 'SimOTAAssignment', 'SmallestBoxTarget',
    'USSAssigner', 'YOLOCellAssigner', 'one_to_one', 'pad_boxes'
]
