"""Systems, one file each: a paper's pipeline, top to bottom."""
from .base import OnlineVIS, VISSession
from .idol import IDOL
from .noise_session import NoiseFilterSession
from .sipmask import SipMaskVIS

__all__ = [
    'IDOL', 'NoiseFilterSession', 'OnlineVIS', 'SipMaskVIS', 'VISSession'
]
