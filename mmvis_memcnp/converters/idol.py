"""Checkpoints of the released IDOL, ResNet backbones."""
from .base import KeyMap
from .deformable_detr import DEFORMABLE_ALIASES, DEFORMABLE_RULES

IDOL = KeyMap(
    'detr.reid_embed_head.layers.0.weight',
    ((r'detr\.reid_embed_head\.', 'embed_head.'), *DEFORMABLE_RULES),
    ignored=DEFORMABLE_ALIASES,
    norm_counters=True)
