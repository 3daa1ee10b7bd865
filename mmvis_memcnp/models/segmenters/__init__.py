"""Frame networks."""
from . import deformable, eomt, mask2former
from .sipmask import MemCNPSipMaskHead, SipMaskHead

__all__ = ['MemCNPSipMaskHead', 'SipMaskHead', 'deformable', 'eomt',
           'mask2former']
