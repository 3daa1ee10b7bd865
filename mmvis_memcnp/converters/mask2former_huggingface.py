"""Mask2Former of Hugging Face's transformers, with a Swin Transformer.

What is published for it are the authors' checkpoints (:mod:`.mask2former`)
under other names.
"""
from .base import Derived, Join, KeyMap
from .swin import merging_order, window_index

_PREFIX = 'segmenter.'
_MODEL = r'model\.pixel_level_module\.'
# Files of transformers 5 name the backbone's class where they add a tensor.
_BODY = _MODEL + r'encoder\.(?:swin\.)?'
_BLOCK = _BODY + r'encoder\.layers\.(\d)\.blocks\.(\d+)\.'
_OUR_BODY = _PREFIX + 'backbone.'
_OUR_BLOCK = _OUR_BODY + r'stages.\1.blocks.\2.'
_PIXEL = _MODEL + r'decoder\.'
_OUR_PIXEL = _PREFIX + 'pixel_decoder.'
_ENCODER = _PIXEL + r'encoder\.layers\.(\d+)\.'
_OUR_ENCODER = _OUR_PIXEL + r'encoder.layers.\1.'
_QUERIES = r'model\.transformer_module\.'
_DECODER = _QUERIES + r'decoder\.'
_LAYER = _DECODER + r'layers\.(\d+)\.'
_OUR_LAYER = _PREFIX + r'decoder.layers.\1.'

_SWIN = (
    (_BODY + r'embeddings\.patch_embeddings\.',
     _OUR_BODY + 'patch_embed.'),
    (_BODY + r'embeddings\.norm\.', _OUR_BODY + 'patch_embed.norm.'),
    (_BLOCK + r'attention\.self\.', _OUR_BLOCK + 'attn.w_msa.'),
    (_BLOCK + r'attention\.output\.dense\.',
     _OUR_BLOCK + 'attn.w_msa.proj.'),
    (_BLOCK + r'intermediate\.dense\.', _OUR_BLOCK + 'ffn.layers.0.0.'),
    (_BLOCK + r'output\.dense\.', _OUR_BLOCK + 'ffn.layers.1.'),
    (_BLOCK + r'layernorm_before\.', _OUR_BLOCK + 'norm1.'),
    (_BLOCK + r'layernorm_after\.', _OUR_BLOCK + 'norm2.'),
    (_BODY + r'encoder\.layers\.(\d)\.', _OUR_BODY + r'stages.\1.'),
    *((_BODY + rf'hidden_states_norms\.stage{stage + 1}\.',
       _OUR_BODY + f'norm{stage}.') for stage in range(4)),
)

MASK2FORMER_HUGGINGFACE = KeyMap(
    'model.transformer_module.queries_features.weight',
    (*_SWIN,
     (_PIXEL + r'input_projections\.(\d)\.0\.',
      _OUR_PIXEL + r'input_convs.\1.conv.'),
     (_PIXEL + r'input_projections\.(\d)\.1\.',
      _OUR_PIXEL + r'input_convs.\1.gn.'),
     (_PIXEL + r'level_embed$', _OUR_PIXEL + 'encoder.level_embed'),
     (_ENCODER + r'self_attn_layer_norm\.', _OUR_ENCODER + 'norms.0.'),
     (_ENCODER + r'final_layer_norm\.', _OUR_ENCODER + 'norms.1.'),
     (_ENCODER + r'fc1\.', _OUR_ENCODER + 'ffn.layers.0.0.'),
     (_ENCODER + r'fc2\.', _OUR_ENCODER + 'ffn.layers.1.'),
     (_ENCODER, _OUR_ENCODER),
     (_PIXEL + r'adapter_1\.0\.', _OUR_PIXEL + 'lateral_conv.conv.'),
     (_PIXEL + r'adapter_1\.1\.', _OUR_PIXEL + 'lateral_conv.gn.'),
     (_PIXEL + r'layer_1\.0\.', _OUR_PIXEL + 'output_conv.conv.'),
     (_PIXEL + r'layer_1\.1\.', _OUR_PIXEL + 'output_conv.gn.'),
     (_PIXEL + r'mask_projection\.', _OUR_PIXEL + 'mask_features.'),
     # Norms are numbered in the order of their use: cross-attention first.
     (_LAYER + r'cross_attn_layer_norm\.', _OUR_LAYER + 'norms.0.'),
     (_LAYER + r'self_attn_layer_norm\.', _OUR_LAYER + 'norms.1.'),
     (_LAYER + r'final_layer_norm\.', _OUR_LAYER + 'norms.2.'),
     (_LAYER + r'(cross|self)_attn\.', _OUR_LAYER + r'\2_attn.attn.'),
     (_LAYER + r'fc1\.', _OUR_LAYER + 'ffn.layers.0.0.'),
     (_LAYER + r'fc2\.', _OUR_LAYER + 'ffn.layers.1.'),
     (_DECODER + r'layernorm\.', _PREFIX + 'decoder.norm.'),
     (_DECODER + r'mask_predictor\.mask_embedder\.(\d)\.0\.',
      _PREFIX + r'decoder.mask_embed.layers.\1.'),
     (_QUERIES + r'queries_features\.', _PREFIX + 'decoder.query_feat.'),
     (_QUERIES + r'queries_embedder\.', _PREFIX + 'decoder.query_embed.'),
     (_QUERIES + r'level_embed\.', _PREFIX + 'decoder.level_embed.'),
     (r'class_predictor\.', _PREFIX + 'decoder.cls_embed.')),
    ignored=(
        (r'criterion\.empty_weight$', 'class weights of the loss'),
        (_BODY + r'layernorm\.', 'last norm of Swin, which nothing reads')),
    values=((_BODY + r'encoder\.layers\.\d\.downsample\.', merging_order), ),
    joins=(
        Join(r'.*attention\.self\.(query|key|value)\.(?:weight|bias)$',
             ('query', 'key', 'value'), 'qkv'),
        Join(_LAYER.replace('(', '(?:') +
             r'self_attn\.(q_proj\.|k_proj\.|v_proj\.)(?:weight|bias)$',
             ('q_proj.', 'k_proj.', 'v_proj.'), 'in_proj_')),
    derived=(Derived(
        r'(.*)relative_position_bias_table$', r'\1relative_position_index',
        window_index, 'indices of the windows'), ))
