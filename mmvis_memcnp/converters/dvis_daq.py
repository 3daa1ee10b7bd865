"""Checkpoints of DVIS-DAQ: Mask2Former, a tracker and, offline, a refiner."""
from .base import KeyMap
from .mask2former import (
    MASK2FORMER_IGNORED,
    MASK2FORMER_RULES,
    MASK2FORMER_VALUES,
    decoder_layer_rules,
)

_TRACKER = r'tracker\.'
_SLOT_ATTENTION = _TRACKER + r'slot_cross_attention_layers\.(\d+)\.'
_SLOT_FFN = _TRACKER + r'slot_ffn_layers\.(\d+)\.'
_SLOTS = r'tracker.slot_layers.\1.'
_REFINER = r'refiner\.'
_OVER_TIME = _REFINER + r'transformer_time_self_attention_layers\.(\d+)\.'
_REFINER_LAYERS = r'refiner.layers.\1.'

#: Heads of rows, as all trackers of this family name them.
ROW_HEAD_RULES: tuple[tuple[str, str], ...] = (
    (_TRACKER + r'decoder_norm\.', 'tracker.norm.'),
    (_TRACKER + r'class_embed\.', 'tracker.cls_embed.'),
    (_TRACKER + r'mask_feature_proj\.', 'tracker.mask_proj.'))

#: A temporal refiner, of DVIS++ and O2VIS too.
REFINER_RULES: tuple[tuple[str, str], ...] = (
    *decoder_layer_rules(_REFINER, 'refiner.layers', own_kind='obj_self'),
    (_OVER_TIME + r'self_attn\.', _REFINER_LAYERS + 'time_attn.'),
    (_OVER_TIME + r'norm\.', _REFINER_LAYERS + 'time_norm.'),
    (_REFINER + r'conv_short_aggregate_layers\.(\d+)\.',
     _REFINER_LAYERS + 'conv.'),
    (_REFINER + r'conv_norms\.(\d+)\.', _REFINER_LAYERS + 'conv_norm.'),
    (_REFINER + r'decoder_norm\.', 'refiner.norm.'),
    (_REFINER + r'class_embed\.', 'refiner.cls_embed.'),
    (_REFINER + r'activation_proj\.', 'refiner.time_weight.'))

DVIS_DAQ = KeyMap(
    'tracker.new_ins_embeds.weight',
    (*MASK2FORMER_RULES,
     *decoder_layer_rules(_TRACKER, 'tracker.layers'),
     *ROW_HEAD_RULES,
     (_SLOT_ATTENTION + r'multihead_attn\.', _SLOTS + 'cross_attn.'),
     (_SLOT_ATTENTION + r'norm\.', _SLOTS + 'norms.0.'),
     (_SLOT_ATTENTION + r'slot_attn\.norm_inputs\.', _SLOTS + 'slot_key.0.'),
     (_SLOT_ATTENTION + r'slot_attn\.project_k\.', _SLOTS + 'slot_key.1.'),
     (_SLOT_ATTENTION + r'slot_attn\.project_q\.', _SLOTS + 'slot_query.'),
     (_SLOT_FFN + r'linear1\.', _SLOTS + 'ffn.layers.0.0.'),
     (_SLOT_FFN + r'linear2\.', _SLOTS + 'ffn.layers.1.'),
     (_SLOT_FFN + r'norm\.', _SLOTS + 'norms.1.'),
     (_TRACKER + r'pos_embed\.', 'tracker.anchor_embed.'),
     (_TRACKER + r'new_ins_embeds\.', 'tracker.new_instance.'),
     (_TRACKER + r'bg_slots\.', 'tracker.background.'),
     *REFINER_RULES),
    ignored=((r'daq_criterion\.empty_weight$', 'class weights of the loss'),
             *MASK2FORMER_IGNORED),
    norm_counters=True,
    values=MASK2FORMER_VALUES)
