"""Checkpoints of the released IDOL."""
from .base import KeyMap
from .deformable_detr import (
    DEFORMABLE_IGNORED,
    DEFORMABLE_RULES,
    DEFORMABLE_VALUES,
)

IDOL = KeyMap(
    'detr.reid_embed_head.layers.0.weight',
    ((r'detr\.reid_embed_head\.', 'segmenter.embed_head.'),
     *DEFORMABLE_RULES),
    ignored=DEFORMABLE_IGNORED,
    norm_counters=True,
    values=DEFORMABLE_VALUES)
