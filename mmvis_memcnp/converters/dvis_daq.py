"""Checkpoints of DVIS-DAQ, online: Mask2Former and a tracker."""
from .base import KeyMap
from .mask2former import MASK2FORMER_RULES, MASK2FORMER_VALUES

_TRACKER = r'tracker\.'
_LAYERS = r'tracker.layers.\1.'
_SLOTS = r'tracker.slot_layers.\1.'


def _layer(kind: str) -> str:
    """Pattern of the layers of a kind."""
    return _TRACKER + rf'{kind}_layers\.(\d+)\.'


DVIS_DAQ = KeyMap(
    'tracker.new_ins_embeds.weight',
    (*MASK2FORMER_RULES,
     (_layer('transformer_cross_attention') + r'multihead_attn\.',
      _LAYERS + 'cross_attn.attn.'),
     (_layer('transformer_cross_attention') + r'norm\.', _LAYERS + 'norms.0.'),
     (_layer('transformer_self_attention') + r'self_attn\.',
      _LAYERS + 'self_attn.attn.'),
     (_layer('transformer_self_attention') + r'norm\.', _LAYERS + 'norms.1.'),
     (_layer('transformer_ffn') + r'linear1\.', _LAYERS + 'ffn.layers.0.0.'),
     (_layer('transformer_ffn') + r'linear2\.', _LAYERS + 'ffn.layers.1.'),
     (_layer('transformer_ffn') + r'norm\.', _LAYERS + 'norms.2.'),
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
     (_TRACKER + r'decoder_norm\.', 'tracker.norm.'),
     (_TRACKER + r'class_embed\.', 'tracker.cls_embed.'),
     (_TRACKER + r'mask_feature_proj\.', 'tracker.mask_proj.'),
     (_TRACKER + r'pos_embed\.', 'tracker.anchor_embed.'),
     (_TRACKER + r'new_ins_embeds\.', 'tracker.new_instance.'),
     (_TRACKER + r'bg_slots\.', 'tracker.background.')),
    ignored=((r'daq_criterion\.empty_weight$', 'class weights of the loss'), ),
    norm_counters=True,
    values=MASK2FORMER_VALUES)
