"""Losses that mmdet lacks."""
from .by_layer import name_by_layer
from .clip_memcnp import ClipMemCNPLoss
from .contrastive_embedding import ContrastiveEmbeddingLoss
from .idol import IDOLLoss
from .query import QueryLoss
from .sampled_mask import SampledMaskLoss
from .seqformer import SeqFormerLoss
from .temporal_contrast import TemporalContrastiveLoss

__all__ = [
    'ClipMemCNPLoss', 'ContrastiveEmbeddingLoss', 'IDOLLoss', 'QueryLoss',
    'SampledMaskLoss', 'SeqFormerLoss', 'TemporalContrastiveLoss',
    'name_by_layer'
]
