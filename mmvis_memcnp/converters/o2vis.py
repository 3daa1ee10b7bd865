"""Checkpoints of O2VIS, published as LOMM, and of the tracker of DVIS++."""
from .base import KeyMap
from .dvis_daq import REFINER_RULES, ROW_HEAD_RULES
from .mask2former import (
    MASK2FORMER_RULES,
    MASK2FORMER_VALUES,
    decoder_layer_rules,
)

_TRACKER = r'tracker\.'
_IGNORED = ((r'criterion\.empty_weight$', 'class weights of the loss'), )

DVIS_TRACKER = KeyMap(
    'tracker.mask_feature_proj.weight',
    (*MASK2FORMER_RULES, *decoder_layer_rules(_TRACKER, 'tracker.layers'),
     *ROW_HEAD_RULES, *REFINER_RULES),
    ignored=_IGNORED,
    norm_counters=True,
    values=MASK2FORMER_VALUES)

#: The whole tracker, the one that has T_E alone, and offline the refiner.
O2VIS = KeyMap(
    'tracker.transformer_cross_attention_layers_E.0.norm.weight',
    (*MASK2FORMER_RULES,
     *decoder_layer_rules(_TRACKER, 'tracker.existing', '_E'),
     *decoder_layer_rules(_TRACKER, 'tracker.aligning', '_A'),
     *ROW_HEAD_RULES,
     (r'tracker\.ref_proj(?:_E)?\.', 'tracker.ref_proj.'),
     *REFINER_RULES),
    ignored=_IGNORED,
    norm_counters=True,
    values=MASK2FORMER_VALUES)
