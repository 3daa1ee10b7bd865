"""Building blocks."""
from .fast_nms import fast_nms

__all__ = ['fast_nms']
