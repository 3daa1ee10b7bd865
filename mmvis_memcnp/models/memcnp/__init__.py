"""Memory-based conditional neural process, independent of its host.

:mod:`.hosts` holds what a kind of host adds.
"""
from .bank import ContextMLP, MemoryBank, memory_distances, memory_target
from .box_branch import BoxPrediction, MemCNPBoxBranch, refine_boxes
from .context import CNP, ContextModule, MemCNP
from .contrast import ContrastiveTrackingLoss
from .distribution import (
    at_least_float32,
    distances_to_boxes,
    log_prob,
    split_distribution,
)
from .key import MemCNPKey, merge_settings, split_key
from .losses import MemCNPLoss, Support, target_uncertainty
from .reference_set import ReferenceSet

__all__ = [
    'CNP', 'BoxPrediction', 'ContextMLP', 'ContextModule',
    'ContrastiveTrackingLoss', 'MemCNP', 'MemCNPBoxBranch', 'MemCNPKey',
    'MemCNPLoss', 'MemoryBank', 'ReferenceSet', 'Support', 'at_least_float32',
    'distances_to_boxes', 'log_prob', 'memory_distances', 'memory_target',
    'merge_settings', 'refine_boxes', 'split_distribution', 'split_key',
    'target_uncertainty'
]
