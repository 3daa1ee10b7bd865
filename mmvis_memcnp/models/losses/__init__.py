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
from .tracked_rows import Learnt, join_rows, row_losses

__all__ = [
    'ClipContrast', 'ContrastiveEmbeddingLoss', 'CrossFrameLoss', 'IDOLLoss',
    'Learnt', 'MemoryContrast', 'QueryLoss', 'ReferenceContrast',
    'SampledMaskLoss', 'SeqFormerLoss', 'TemporalContrastiveLoss',
    'join_rows', 'name_by_layer', 'row_losses'
]
