"""Frame networks."""
from . import deformable, mask2former
from .sipmask import MemCNPSipMaskHead, SipMaskHead

__all__ = ['MemCNPSipMaskHead', 'SipMaskHead', 'deformable', 'mask2former']
