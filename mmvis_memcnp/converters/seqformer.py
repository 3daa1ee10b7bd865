"""Checkpoints of the SeqFormer that its authors ported to detectron2."""
from .base import KeyMap
from .deformable_detr import (
    DEFORMABLE_IGNORED,
    DEFORMABLE_RULES,
    DEFORMABLE_VALUES,
    in_segmenter,
)

_LAYER = r'detr\.detr\.transformer\.decoder\.layers\.(\d+)\.'

SEQFORMER = KeyMap(
    'detr.detr.transformer.decoder.layers.0.time_attention_weights.weight',
    (
        *in_segmenter((
            (_LAYER + r'cross_attn\.output_proj\.',
             r'decoder.layers.\1.instance_proj.'),
            (_LAYER + r'cross_attn\.output_proj_box\.',
             r'decoder.layers.\1.box_proj.'),
            (_LAYER + r'cross_attn\.', r'decoder.layers.\1.cross_attn.'),
            (_LAYER + r'time_attention_weights\.',
             r'decoder.layers.\1.frame_weight.'),
            *((_LAYER + rf'{theirs}{suffix}\.',
               rf'decoder.layers.\1.{stream}.{ours}.')
              for suffix, stream in (('', 'instance'), ('_box', 'box'))
              for theirs, ours in (('self_attn', 'self_attn'),
                                   ('norm2', 'norms.0'), ('norm1', 'norms.1'),
                                   ('norm3', 'norms.2'),
                                   ('linear1', 'ffn.layers.0.0'),
                                   ('linear2', 'ffn.layers.1'))),
        )),
        *DEFORMABLE_RULES,
    ),
    ignored=((r'detr\.detr\.transformer\.encoder\.layers\.\d+\.self_attn\.'
              r'output_proj_box\.',
              'projections of the encoder, which nothing reads'),
             *DEFORMABLE_IGNORED),
    norm_counters=True,
    values=DEFORMABLE_VALUES)
