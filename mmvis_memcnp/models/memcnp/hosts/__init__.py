"""What a kind of host adds to MemCNP: rules of its training.

``keys`` completes the config key of a host, ``sipmask`` are the points of a
dense head, ``queries`` the queries of a decoder.
"""
from .keys import point_key, query_key
from .queries import ClipRules, FrameRules

__all__ = ['ClipRules', 'FrameRules', 'point_key', 'query_key']
