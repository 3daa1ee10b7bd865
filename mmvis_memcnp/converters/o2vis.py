"""Checkpoints of O2VIS, published as LOMM, and of the tracker of DVIS++."""
from .base import KeyMap
from .dvis_daq import ROW_HEAD_RULES, referring_rules, refiner_rules
from .mask2former import MASK2FORMER_RULES, MASK2FORMER_VALUES

_IGNORED = ((r'criterion\.empty_weight$', 'class weights of the loss'), )

DVIS_TRACKER = KeyMap(
    'tracker.mask_feature_proj.weight',
    (*MASK2FORMER_RULES, *referring_rules(), *ROW_HEAD_RULES,
     *refiner_rules()),
    ignored=_IGNORED,
    norm_counters=True,
    values=MASK2FORMER_VALUES)

#: The whole tracker, the one that has T_E alone, and offline the refiner.
O2VIS = KeyMap(
    'tracker.transformer_cross_attention_layers_E.0.norm.weight',
    (*MASK2FORMER_RULES, *referring_rules('_E', 'existing'),
     *referring_rules('_A', 'aligning'), *ROW_HEAD_RULES,
     (r'tracker\.ref_proj(?:_E)?\.', 'tracker.ref_proj.'),
     *refiner_rules()),
    ignored=_IGNORED,
    norm_counters=True,
    values=MASK2FORMER_VALUES)
