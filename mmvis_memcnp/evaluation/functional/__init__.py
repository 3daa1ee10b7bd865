"""Pure NumPy scores, free of any framework.

SciPy, which takes time to load, is imported where it is used.
"""
from .absence import AbsenceCounts, count_absences
from .broken import leave_out_broken
from .calibration import (
    Calibration,
    Sparsification,
    auroc,
    binned_spread,
    calibration,
    negative_log_likelihood,
    rank_correlation,
    sparsification,
)
from .ground_truth import AnnotationFile, GTTrack, read_video_ids
from .hota import HOTACounts, count_hota
from .mot import TrackingCounts, box_iou, count_matches, count_tracking
from .overlaps import Overlaps, overlap_video
from .pairs import Pairs, pair_frame, pair_video
from .parallel import each_video
from .reliability import reliability
from .report import HEADLINE, format_table, headline
from .results import (
    ResultTrack,
    check_results,
    group_by_video,
    read_results,
)
from .rle import areas, stack_boxes, tight_boxes
from .scoring import (
    OCCLUSION,
    SHAPES,
    TRACKING,
    VideoScores,
    keep_level,
    occlusion_levels,
    precision,
    reduce_results,
    score_video,
    score_videos,
    tracking,
)
from .sigma_fit import fit_sigma_map
from .track_iou import Cell, measure_video, reduce_video
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
    'APResult', 'AREA_RANGES', 'AbsenceCounts', 'AnnotationFile',
    'Calibration', 'Cell', 'GTTrack', 'HEADLINE', 'HOTACounts', 'IOU_THRS',
    'MAX_DET_LIMITS', 'OCCLUSION', 'Overlaps', 'Pairs', 'RECALL_THRS',
    'ResultTrack', 'SHAPES', 'STAT_NAMES', 'Sparsification', 'TRACKING',
    'TrackingCounts', 'VideoScores', 'areas', 'auroc', 'average_precision',
    'binned_spread', 'box_iou', 'calibration', 'check_results',
    'count_absences', 'count_hota', 'count_matches', 'count_tracking',
    'each_video', 'fit_sigma_map', 'format_table', 'group_by_video',
    'headline', 'keep_level', 'leave_out_broken', 'match_at_thresholds',
    'measure_video',
    'negative_log_likelihood', 'occlusion_levels', 'overlap_video',
    'pair_frame', 'pair_video', 'precision', 'rank_correlation',
    'read_results', 'read_video_ids', 'reduce_results', 'reduce_video',
    'reliability', 'score_video', 'score_videos', 'sparsification',
    'stack_boxes', 'tight_boxes', 'tracking'
]
