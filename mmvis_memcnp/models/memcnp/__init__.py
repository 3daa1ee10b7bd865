"""Memory-based conditional neural process, independent of its host."""
from .bank import ContextMLP, MemoryBank, memory_distances, memory_target
from .context import CNP, ContextModule, MemCNP
from .contrast import ContrastiveTrackingLoss
from .distribution import (
    at_least_float32,
    distances_to_boxes,
    log_prob,
    split_distribution,
)
from .losses import MemCNPLoss, target_uncertainty
from .queries import (
    clip_cnp_loss,
    clip_contrast,
    frame_cnp_loss,
    frame_contrast,
)
from .reference_set import ReferenceSet

__all__ = [
    'CNP', 'ContextMLP', 'ContextModule', 'ContrastiveTrackingLoss', 'MemCNP',
    'MemCNPLoss', 'MemoryBank', 'ReferenceSet', 'at_least_float32',
    'clip_cnp_loss', 'clip_contrast', 'distances_to_boxes', 'frame_cnp_loss',
    'frame_contrast', 'log_prob', 'memory_distances', 'memory_target',
    'split_distribution', 'target_uncertainty'
]
