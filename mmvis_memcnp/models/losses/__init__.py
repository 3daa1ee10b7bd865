"""Losses that mmdet lacks."""
from .clip_memcnp import ClipMemCNPLoss, box_pairs
from .contrastive_embedding import ContrastiveEmbeddingLoss
from .query_frame_loss import QueryFrameLoss, Rows
from .query_instance import QueryInstanceLoss, QueryPairs
from .temporal_contrast import TemporalContrastiveLoss

__all__ = [
    'ClipMemCNPLoss', 'ContrastiveEmbeddingLoss', 'QueryFrameLoss',
    'QueryInstanceLoss', 'QueryPairs', 'Rows', 'TemporalContrastiveLoss',
    'box_pairs'
]
