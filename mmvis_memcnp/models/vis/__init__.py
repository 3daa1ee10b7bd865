"""Systems, one file each: a paper's pipeline, top to bottom."""
from .base import OnlineVIS, VISSession
from .clip_base import ClipSession, ClipVIS
from .idol import IDOL
from .idol_training import MemCNPQueryTraining
from .instanceformer import InstanceFormer
from .noise_session import NoiseFilterSession
from .seqformer import SeqFormer
from .sipmask import SipMaskVIS

__all__ = [
    'ClipSession', 'ClipVIS', 'IDOL', 'InstanceFormer', 'MemCNPQueryTraining',
    'NoiseFilterSession', 'OnlineVIS', 'SeqFormer', 'SipMaskVIS', 'VISSession'
]
