"""Ground truth of a batch as padded tensors."""
from .clip_truth import ClipTruth, collect_clips
from .ground_truth import (
    GroundTruth,
    clip_frames,
    collect_ground_truth,
    same_objects,
)

__all__ = [
    'ClipTruth', 'GroundTruth', 'clip_frames', 'collect_clips',
    'collect_ground_truth', 'same_objects'
]
