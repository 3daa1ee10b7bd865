"""Frame networks."""
from . import deformable
from .sipmask import MemCNPSipMaskHead, SipMaskHead

__all__ = ['MemCNPSipMaskHead', 'SipMaskHead', 'deformable']
