"""Checkpoints of the released InstanceFormer."""
from .base import KeyMap
from .deformable_detr import (
    DEFORMABLE_IGNORED,
    DEFORMABLE_RULES,
    DEFORMABLE_VALUES,
    in_segmenter,
)

_LAYER = r'detr\.transformer\.decoder\.layers\.(\d+)\.'

INSTANCEFORMER = KeyMap(
    'detr.temporal_class_embed.0.weight', (
        *in_segmenter((
            (_LAYER + r'cross_attn_mem\.', r'decoder.layers.\1.memory_attn.'),
            (_LAYER + r'norm2\.', r'decoder.layers.\1.self_norm.'),
            (_LAYER + r'norm1_box\.', r'decoder.layers.\1.cross_norm.'),
            (_LAYER + r'norm2_mem\.', r'decoder.layers.\1.memory_norm.'),
            (_LAYER + r'norm3_box\.', r'decoder.layers.\1.ffn_norm.'),
            (_LAYER + r'linear1_box\.', r'decoder.layers.\1.ffn.layers.0.0.'),
            (_LAYER + r'linear2_box\.', r'decoder.layers.\1.ffn.layers.1.'),
            (_LAYER, r'decoder.layers.\1.'),
        )),
        (r'detr\.transformer\.mem_token_proj\.', 'memory.project.'),
        (r'detr\.temporal_class_embed\.', 'class_prior.weigh.'),
        *DEFORMABLE_RULES,
        # torchvision's ResNet, whose names mmdet keeps.
        (r'detr\.backbone\.0\.body\.', 'segmenter.backbone.'),
    ),
    ignored=DEFORMABLE_IGNORED,
    norm_counters=True,
    values=DEFORMABLE_VALUES)
