"""Building blocks."""
from .boxes import (
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

__all__ = [
    'FeatureAlign', 'aligned_iou', 'centreness', 'distances_to_sides',
    'fast_nms', 'jitter_boxes', 'level_points', 'pairwise_iou',
    'sides_to_boxes'
]
