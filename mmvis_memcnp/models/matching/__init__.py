"""Which prediction learns which object: costs and policies."""
from .costs import (
    BoxCost,
    CostSum,
    FocalCost,
    GIoUCost,
    Queries,
    SigmoidCost,
    SoftmaxCost,
)
from .mask_costs import SampledMaskCost, bce_cost, dice_cost
from .one_to_one import OneToOneMatcher, hungarian
from .points import (
    FCOSPointAssigner,
    ObjectBoxAssigner,
    PointAssigner,
    PointBatch,
    PointTargets,
    SmallestBoxTarget,
    USSAssigner,
    YOLOCellAssigner,
    pad_boxes,
)
from .sim_ota import SimOTAMatcher
from .sticky import StickyMatcher
from .uss import QueryUSSAssigner

__all__ = [
    'BoxCost', 'CostSum', 'FCOSPointAssigner', 'FocalCost', 'GIoUCost',
    'ObjectBoxAssigner', 'OneToOneMatcher', 'PointAssigner', 'PointBatch',
    'PointTargets', 'Queries', 'QueryUSSAssigner', 'SampledMaskCost',
    'SigmoidCost', 'SimOTAMatcher', 'SmallestBoxTarget', 'SoftmaxCost',
    'StickyMatcher', 'USSAssigner', 'YOLOCellAssigner', 'bce_cost',
    'dice_cost', 'hungarian', 'pad_boxes'
]
