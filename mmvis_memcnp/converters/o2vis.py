"""Checkpoints of O2VIS, published as LOMM, and of the tracker of DVIS++."""
from collections.abc import Mapping

from torch import Tensor

from .base import KeyMap
from .dvis_daq import REFINER_RULES, ROW_HEAD_RULES
from .mask2former import (
    MASK2FORMER_IGNORED,
    MASK2FORMER_RULES,
    MASK2FORMER_VALUES,
    decoder_layer_rules,
)

_TRACKER = r'tracker\.'


class _OfQueries(KeyMap):
    """Of a tracker that reads the queries of its segmenter, as they are."""

    def convert(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :meth:`KeyMap.convert`.

        Raises:
            ValueError: also if the tracker reads something wider.
        """
        out = super().convert(state_dict)
        own, queries = (out.get(f'{part}norm.weight')
                        for part in ('tracker.', 'segmenter.decoder.'))
        if own is not None and queries is not None and \
                len(own) != len(queries):
            raise ValueError(
                f'its tracker reads {len(own)} channels a query, but its '
                f'segmenter has {len(queries)}: it was trained with '
                'REID_BRANCH, on queries and embeddings side by side, which '
                'ReferringTracker does not read: use one trained without it')
        return out


DVIS_TRACKER = _OfQueries(
    'tracker.mask_feature_proj.weight',
    (*MASK2FORMER_RULES, *decoder_layer_rules(_TRACKER, 'tracker.layers'),
     *ROW_HEAD_RULES, *REFINER_RULES),
    ignored=MASK2FORMER_IGNORED,
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
    ignored=MASK2FORMER_IGNORED,
    norm_counters=True,
    values=MASK2FORMER_VALUES)
