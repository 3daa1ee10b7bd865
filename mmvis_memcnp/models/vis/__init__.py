"""Systems, one file each: a paper's pipeline, top to bottom."""
from .base import OnlineVIS, VISSession
from .sipmask import SipMaskVIS

__all__ = ['OnlineVIS', 'SipMaskVIS', 'VISSession']
