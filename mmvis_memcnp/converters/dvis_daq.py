"""Checkpoints of DVIS-DAQ: Mask2Former, a tracker and, offline, a refiner."""
from .base import KeyMap
from .mask2former import (
    MASK2FORMER_IGNORED,
    MASK2FORMER_RULES,
    MASK2FORMER_VALUES,
)

_TRACKER = r'tracker\.'
_SLOTS = r'tracker.slot_layers.\1.'


def _layer(kind: str, suffix: str = '') -> str:
    """Pattern of the layers of a kind."""
    return _TRACKER + rf'{kind}_layers{suffix}\.(\d+)\.'


def referring_rules(suffix: str = '',
                    layers: str = 'layers') -> tuple[tuple[str, str], ...]:
    """Rules of a tracker's layers that read the queries of a frame.

    Args:
        suffix: of the official names, that tells two such stacks apart.
        layers: name of the stack here.
    """
    cross, own, ffn = (
        _layer(f'transformer_{kind}', suffix)
        for kind in ('cross_attention', 'self_attention', 'ffn'))
    ours = rf'tracker.{layers}.\1.'
    return (
        (cross + r'multihead_attn\.', ours + 'cross_attn.attn.'),
        (cross + r'norm\.', ours + 'norms.0.'),
        (own + r'self_attn\.', ours + 'self_attn.attn.'),
        (own + r'norm\.', ours + 'norms.1.'),
        (ffn + r'linear1\.', ours + 'ffn.layers.0.0.'),
        (ffn + r'linear2\.', ours + 'ffn.layers.1.'),
        (ffn + r'norm\.', ours + 'norms.2.'))


#: Heads of rows, as all trackers of this family name them.
ROW_HEAD_RULES: tuple[tuple[str, str], ...] = (
    (_TRACKER + r'decoder_norm\.', 'tracker.norm.'),
    (_TRACKER + r'class_embed\.', 'tracker.cls_embed.'),
    (_TRACKER + r'mask_feature_proj\.', 'tracker.mask_proj.'))


def refiner_rules(old: str = r'refiner\.',
                  new: str = 'refiner.') -> tuple[tuple[str, str], ...]:
    """Rules of a temporal refiner, of DVIS++ and O2VIS too; ``old`` and
    ``new`` are what stands before its names."""
    layers = {
        'transformer_time_self_attention_layers': dict(
            self_attn='time_attn', norm='time_norm'),
        'transformer_obj_self_attention_layers': dict(
            self_attn='self_attn.attn', norm='norms.1'),
        'transformer_cross_attention_layers': dict(
            multihead_attn='cross_attn.attn', norm='norms.0'),
        'transformer_ffn_layers': dict(
            linear1='ffn.layers.0.0', linear2='ffn.layers.1', norm='norms.2')}
    heads = dict(decoder_norm='norm', class_embed='cls_embed',
                 activation_proj='time_weight', mask_embed='mask_embed')
    return (
        *((rf'{old}{kind}\.(\d+)\.{theirs}\.', rf'{new}layers.\1.{ours}.')
          for kind, parts in layers.items() for theirs, ours in parts.items()),
        (old + r'conv_short_aggregate_layers\.(\d+)\.',
         new + r'layers.\1.conv.'),
        (old + r'conv_norms\.(\d+)\.', new + r'layers.\1.conv_norm.'),
        *((rf'{old}{theirs}\.', f'{new}{ours}.')
          for theirs, ours in heads.items()))


DVIS_DAQ = KeyMap(
    'tracker.new_ins_embeds.weight',
    (*MASK2FORMER_RULES,
     *referring_rules(),
     *ROW_HEAD_RULES,
     (_layer('slot_cross_attention') + r'multihead_attn\.',
      _SLOTS + 'cross_attn.'),
     (_layer('slot_cross_attention') + r'norm\.', _SLOTS + 'norms.0.'),
     (_layer('slot_cross_attention') + r'slot_attn\.norm_inputs\.',
      _SLOTS + 'slot_key.0.'),
     (_layer('slot_cross_attention') + r'slot_attn\.project_k\.',
      _SLOTS + 'slot_key.1.'),
     (_layer('slot_cross_attention') + r'slot_attn\.project_q\.',
      _SLOTS + 'slot_query.'),
     (_layer('slot_ffn') + r'linear1\.', _SLOTS + 'ffn.layers.0.0.'),
     (_layer('slot_ffn') + r'linear2\.', _SLOTS + 'ffn.layers.1.'),
     (_layer('slot_ffn') + r'norm\.', _SLOTS + 'norms.1.'),
     (_TRACKER + r'pos_embed\.', 'tracker.anchor_embed.'),
     (_TRACKER + r'new_ins_embeds\.', 'tracker.new_instance.'),
     (_TRACKER + r'bg_slots\.', 'tracker.background.'),
     *refiner_rules()),
    ignored=((r'daq_criterion\.empty_weight$', 'class weights of the loss'),
             *MASK2FORMER_IGNORED),
    norm_counters=True,
    values=MASK2FORMER_VALUES)

#: A bare refiner.
REFINER = KeyMap('activation_proj.weight', refiner_rules('', ''))
