"""Losses that mmdet lacks."""
from .by_layer import name_by_layer
from .clip_contrast import ClipContrast, MemoryContrast, ReferenceContrast
from .contrastive_embedding import ContrastiveEmbeddingLoss
from .cross_frame import CrossFrameLoss
from .idol import IDOLLoss
from .query import QueryLoss
from .sampled_mask import SampledMaskLoss
from .seqformer import SeqFormerLoss
from .temporal_contrast import TemporalContrastiveLoss

__all__ = [
    'ClipContrast', 'ContrastiveEmbeddingLoss', 'CrossFrameLoss', 'IDOLLoss',
    'MemoryContrast', 'QueryLoss', 'ReferenceContrast', 'SampledMaskLoss',
    'SeqFormerLoss', 'TemporalContrastiveLoss', 'name_by_layer'
]
