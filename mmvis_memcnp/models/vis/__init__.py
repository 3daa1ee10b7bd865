"""Systems, one file each: a paper's pipeline, top to bottom."""
from .base import OnlineVIS, VISSession
from .instanceformer import InstanceFormer
from .sipmask import SipMaskVIS

__all__ = ['InstanceFormer', 'OnlineVIS', 'SipMaskVIS', 'VISSession']
