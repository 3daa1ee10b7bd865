"""What a kind of host adds to MemCNP: rules of its training.

``keys`` completes the config key of a host, ``sipmask`` are the points of a
dense head, ``queries`` the queries of a decoder, ``rows`` those of a tracker.
"""
from .keys import point_key, query_key, row_key
from .queries import ClipRules, FrameRules
from .rows import RowBoxes, RowContext, RowRules

__all__ = [
    'ClipRules', 'FrameRules', 'RowBoxes', 'RowContext', 'RowRules',
    'point_key', 'query_key', 'row_key'
]
