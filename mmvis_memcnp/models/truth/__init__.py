"""Ground truth of a batch as padded tensors, and who learns it."""
from .clip_truth import ClipTruth, collect_clips
from .ground_truth import (
    GroundTruth,
    clip_frames,
    collect_ground_truth,
    same_objects,
)
from .matches import Matches

__all__ = [
    'ClipTruth', 'GroundTruth', 'Matches', 'clip_frames', 'collect_clips',
    'collect_ground_truth', 'same_objects'
]
