"""Losses that mmdet lacks."""
from .clip_memcnp import ClipMemCNPLoss, box_pairs
from .contrastive_embedding import ContrastiveEmbeddingLoss
from .query_frame_loss import QueryFrameLoss
from .query_instance import QueryInstanceLoss
from .query_loss import QueryLoss
from .query_pairs import QueryPairs, name_by_layer
from .sampled_mask import SampledMaskLoss
from .seqformer_loss import SeqFormerLoss
from .temporal_contrast import TemporalContrastiveLoss

__all__ = [
    'ClipMemCNPLoss', 'ContrastiveEmbeddingLoss', 'QueryFrameLoss',
    'QueryInstanceLoss', 'QueryLoss', 'QueryPairs', 'SampledMaskLoss',
    'SeqFormerLoss', 'TemporalContrastiveLoss', 'box_pairs', 'name_by_layer'
]
