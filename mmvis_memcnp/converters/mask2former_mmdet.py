"""Mask2Former of mmdet's own zoo, on images and on clips."""
from .base import KeyMap

_PREFIX = 'segmenter.'


def _key_map(head: str) -> KeyMap:
    """The names below one of mmdet's heads; the layers are the same."""
    old = head + r'\.'
    pixel = old + r'pixel_decoder\.'
    ours = _PREFIX + 'pixel_decoder.'
    # Files of before mmdet 3 number the attentions in the order of their use.
    stacks = (
        (pixel + r'encoder\.layers\.(\d+)\.', ours + r'encoder.layers.\1.',
         ('self_attn', )),
        (old + r'transformer_decoder\.layers\.(\d+)\.',
         _PREFIX + r'decoder.layers.\1.', ('cross_attn', 'self_attn')))
    layers = tuple(
        rule for theirs, here, attentions in stacks for rule in (
            *((theirs + rf'attentions\.{number}\.', f'{here}{name}.')
              for number, name in enumerate(attentions)),
            (theirs + r'ffns\.0\.', here + 'ffn.'), (theirs, here)))
    return KeyMap(
        f'{head}.cls_embed.weight',
        (*layers,
         (pixel + r'level_encoding\.weight$', ours + 'encoder.level_embed'),
         (pixel + r'lateral_convs\.0\.', ours + 'lateral_conv.'),
         (pixel + r'output_convs\.0\.', ours + 'output_conv.'),
         (pixel + r'mask_feature\.', ours + 'mask_features.'),
         (pixel, ours),
         (old + r'transformer_decoder\.post_norm\.',
          _PREFIX + 'decoder.norm.'),
         *((old + rf'mask_embed\.{2 * layer}\.',
            _PREFIX + f'decoder.mask_embed.layers.{layer}.')
           for layer in range(3)),
         (old, _PREFIX + 'decoder.'),
         (r'backbone\.', _PREFIX + 'backbone.')))


#: On images, for instances or panoptic.
MMDET_MASK2FORMER = _key_map('panoptic_head')

#: Mask2Former-VIS.
MMDET_MASK2FORMER_VIS = _key_map('track_head')
