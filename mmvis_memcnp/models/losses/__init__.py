"""Losses that mmdet lacks."""
from .contrastive_embedding import ContrastiveEmbeddingLoss
from .query_frame_loss import QueryFrameLoss
from .query_instance import QueryInstanceLoss
from .query_loss import QueryLoss
from .query_pairs import QueryPairs, name_by_layer
from .sampled_mask import SampledMaskLoss
from .seqformer_loss import SeqFormerLoss
from .temporal_contrast import TemporalContrastiveLoss

__all__ = [
    'ContrastiveEmbeddingLoss', 'QueryFrameLoss', 'QueryInstanceLoss',
    'QueryLoss', 'QueryPairs', 'SampledMaskLoss', 'SeqFormerLoss',
    'TemporalContrastiveLoss', 'name_by_layer'
]
