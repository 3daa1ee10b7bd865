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
from .restore_masks import restore_masks

__all__ = [
    'FeatureAlign', 'aligned_giou', 'aligned_iou', 'centreness',
    'distances_to_sides', 'fast_nms', 'jitter_boxes', 'level_points',
    'pairwise_iou', 'restore_masks', 'sides_to_boxes'
]
