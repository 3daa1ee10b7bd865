"""Checkpoints of Mask2Former and of what keeps its tensors as they are.

Mask2Former on images (COCO), MinVIS and Mask2Former-VIS hold the same names;
CTVIS adds a head of embeddings. The frame network stands under ``segmenter.``
here in every system, so that one converted file starts any of them.
"""
from .base import KeyMap
from .resnet import resnet_rules
from .swin import swin_rules, swin_values
from .vit_adapter import vit_adapter_ignored, vit_adapter_rules

_BODY = r'backbone\.'
# Files of before version 2 hold the pixel decoder without its name.
_PIXEL = r'sem_seg_head\.(?:pixel_decoder\.)?'
_ENCODER = _PIXEL + r'transformer\.encoder\.layers\.(\d+)\.'
_PREDICTOR = r'sem_seg_head\.predictor\.'
_PREFIX = 'segmenter.'


def decoder_layer_rules(theirs: str,
                        ours: str,
                        suffix: str = '',
                        own_kind: str = 'self') -> tuple[tuple[str, str], ...]:
    """Rules of a stack of the decoder's layers, which trackers and refiners
    have too.

    Args:
        theirs: pattern of what stands before the official names.
        ours: name of the stack here.
        suffix: of the official names, that tells two such stacks apart.
        own_kind: official name of the attention of queries to each other.
    """
    cross, own, ffn = (
        rf'{theirs}transformer_{kind}_layers{suffix}\.(\d+)\.'
        for kind in ('cross_attention', f'{own_kind}_attention', 'ffn'))
    layer = ours + r'.\1.'
    # Norms are numbered in the order of their use: cross-attention first.
    return (
        (cross + r'multihead_attn\.', layer + 'cross_attn.attn.'),
        (cross + r'norm\.', layer + 'norms.0.'),
        (own + r'self_attn\.', layer + 'self_attn.attn.'),
        (own + r'norm\.', layer + 'norms.1.'),
        (ffn + r'linear1\.', layer + 'ffn.layers.0.0.'),
        (ffn + r'linear2\.', layer + 'ffn.layers.1.'),
        (ffn + r'norm\.', layer + 'norms.2.'))


#: Backbone, pixel decoder, decoder and, if there is one, embedding head.
MASK2FORMER_RULES: tuple[tuple[str, str], ...] = (
    *resnet_rules(_BODY, _PREFIX + 'backbone.'),
    *swin_rules(_BODY, _PREFIX + 'backbone.'),
    *vit_adapter_rules(_BODY, _PREFIX + 'backbone.'),
    (_PIXEL + r'input_proj\.(\d)\.0\.',
     _PREFIX + r'pixel_decoder.input_convs.\1.conv.'),
    (_PIXEL + r'input_proj\.(\d)\.1\.',
     _PREFIX + r'pixel_decoder.input_convs.\1.gn.'),
    (_PIXEL + r'transformer\.level_embed$',
     _PREFIX + 'pixel_decoder.encoder.level_embed'),
    (_ENCODER + r'norm1\.',
     _PREFIX + r'pixel_decoder.encoder.layers.\1.norms.0.'),
    (_ENCODER + r'norm2\.',
     _PREFIX + r'pixel_decoder.encoder.layers.\1.norms.1.'),
    (_ENCODER + r'linear1\.',
     _PREFIX + r'pixel_decoder.encoder.layers.\1.ffn.layers.0.0.'),
    (_ENCODER + r'linear2\.',
     _PREFIX + r'pixel_decoder.encoder.layers.\1.ffn.layers.1.'),
    (_ENCODER, _PREFIX + r'pixel_decoder.encoder.layers.\1.'),
    (_PIXEL + r'adapter_1\.norm\.',
     _PREFIX + 'pixel_decoder.lateral_conv.gn.'),
    (_PIXEL + r'adapter_1\.', _PREFIX + 'pixel_decoder.lateral_conv.conv.'),
    (_PIXEL + r'layer_1\.norm\.', _PREFIX + 'pixel_decoder.output_conv.gn.'),
    (_PIXEL + r'layer_1\.', _PREFIX + 'pixel_decoder.output_conv.conv.'),
    (_PIXEL + r'mask_features\.', _PREFIX + 'pixel_decoder.mask_features.'),
    *decoder_layer_rules(_PREDICTOR, _PREFIX + 'decoder.layers'),
    (_PREDICTOR + r'decoder_norm\.', _PREFIX + 'decoder.norm.'),
    (_PREDICTOR + r'class_embed\.', _PREFIX + 'decoder.cls_embed.'),
    # The name of before version 2.
    (_PREDICTOR + r'static_query\.', _PREFIX + 'decoder.query_feat.'),
    (_PREDICTOR + r'(query_feat|query_embed|level_embed|mask_embed)\.',
     _PREFIX + r'decoder.\1.'),
    (_PREDICTOR + r'reid_embed\.', _PREFIX + 'embed_head.'),
)

#: Tensors that Swin lays out differently.
MASK2FORMER_VALUES = swin_values(_BODY)

#: Made from the number of classes whenever a loss is computed.
MASK2FORMER_IGNORED = (
    (r'criterion\.empty_weight$', 'class weights of the loss'),
    *vit_adapter_ignored(_BODY))


def _key_map(marker: str) -> KeyMap:
    return KeyMap(_PREDICTOR.replace('\\', '') + marker, MASK2FORMER_RULES,
                  ignored=MASK2FORMER_IGNORED, norm_counters=True,
                  values=MASK2FORMER_VALUES)


#: Mask2Former on images and MinVIS.
MASK2FORMER = _key_map('class_embed.weight')

#: CTVIS, and the segmenters of others that come from it.
CTVIS = _key_map('reid_embed.layers.0.weight')
