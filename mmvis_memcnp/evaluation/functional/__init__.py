"""Pure NumPy scores, free of any framework."""
from .ground_truth import GroundTruth, GTTrack
from .mot import TrackingCounts, box_iou, count_tracking
from .results import (ResultTrack, check_results, read_results,
                      reduce_results)
from .rle import areas, intersections, stack_boxes, tight_boxes, to_rle
from .track_iou import Cell, reduce_video
from .ytvis_ap import (AREA_RANGES, IOU_THRS, MAX_DET_LIMITS, RECALL_THRS,
                       STAT_NAMES, APResult, average_precision, match)

__all__ = [
    'AREA_RANGES', 'APResult', 'Cell', 'GTTrack', 'GroundTruth', 'IOU_THRS',
    'MAX_DET_LIMITS', 'RECALL_THRS', 'ResultTrack', 'STAT_NAMES',
    'TrackingCounts', 'areas', 'average_precision', 'box_iou',
    'check_results', 'count_tracking', 'intersections', 'match',
    'read_results', 'reduce_results', 'reduce_video', 'stack_boxes',
    'tight_boxes', 'to_rle'
]
