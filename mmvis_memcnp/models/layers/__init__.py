"""Building blocks."""
from .boxes import (
    aligned_giou,
    aligned_iou,
    centreness,
    distances_to_sides,
    jitter_boxes,
    level_points,
    pairwise_iou,
    sides_to_boxes,
)
from .fast_nms import fast_nms
from .feature_align import FeatureAlign
from .greedy_nms import class_nms, greedy_keep, mask_iou, mask_nms
from .schedule import phase

__all__ = [
    'FeatureAlign', 'aligned_giou', 'aligned_iou', 'centreness', 'class_nms',
    'distances_to_sides', 'fast_nms', 'greedy_keep', 'jitter_boxes',
    'level_points', 'mask_iou', 'mask_nms', 'pairwise_iou', 'phase',
    'sides_to_boxes'
]
