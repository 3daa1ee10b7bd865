"""Pure NumPy scores, free of any framework."""
from .calibration import (
                          Calibration,
                          Sparsification,
                          auroc,
                          calibration,
                          sparsification,
)
from .ground_truth import AnnotationFile, GTTrack, read_video_ids
from .mot import TrackingCounts, box_iou, count_tracking, count_tracks
from .pairs import Pairs, pair_frame, pair_video, reliability
from .report import HEADLINE, format_table, headline
from .results import ResultTrack, check_results, read_results, reduce_results
from .rle import areas, intersections, stack_boxes, tight_boxes
from .track_iou import Cell, reduce_video
from .ytvis_ap import (
                          AREA_RANGES,
                          IOU_THRS,
                          MAX_DET_LIMITS,
                          RECALL_THRS,
                          STAT_NAMES,
                          APResult,
                          average_precision,
                          match_at_thresholds,
)

__all__ = [
    'APResult', 'AREA_RANGES', 'AnnotationFile', 'Calibration', 'Cell',
    'GTTrack', 'HEADLINE', 'IOU_THRS', 'MAX_DET_LIMITS', 'Pairs',
    'RECALL_THRS', 'ResultTrack', 'STAT_NAMES', 'Sparsification',
    'TrackingCounts', 'areas', 'auroc', 'average_precision', 'box_iou',
    'calibration', 'check_results', 'count_tracking', 'count_tracks',
    'format_table', 'headline', 'intersections', 'match_at_thresholds',
    'pair_frame', 'pair_video', 'read_results', 'read_video_ids',
    'reduce_results', 'reduce_video', 'reliability', 'sparsification',
    'stack_boxes', 'tight_boxes'
]
