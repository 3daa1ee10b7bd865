"""SipMask's dense heads."""
from .head import SipMaskHead
from .memcnp_head import MemCNPSipMaskHead

__all__ = ['MemCNPSipMaskHead', 'SipMaskHead']
