"""Frame networks."""
from . import deformable
from .memcnp_sipmask_head import MemCNPSipMaskHead
from .sipmask_head import SipMaskHead

__all__ = ['MemCNPSipMaskHead', 'SipMaskHead', 'deformable']
