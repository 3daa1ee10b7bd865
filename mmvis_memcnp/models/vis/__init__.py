"""Systems, one file each: a paper's pipeline, top to bottom."""
from .base import VIS
from .clip import ClipVIS
from .ctvis import CTVIS
from .dvis_daq import DVISDAQ
from .dvis_daq_offline import DVISDAQOffline
from .idol import IDOL
from .ifr import IFR
from .instanceformer import InstanceFormer
from .mask2former_vis import Mask2FormerVIS
from .minvis import MinVIS
from .o2vis import O2VIS
from .o2vis_offline import O2VISOffline
from .online import OnlineVIS
from .saved_session import restore_session, save_session
from .seqformer import SeqFormer
from .session import Session
from .sipmask import SipMaskVIS
from .videomt import VidEoMT

__all__ = [
    'CTVIS', 'DVISDAQ', 'DVISDAQOffline', 'ClipVIS', 'IDOL', 'IFR',
    'InstanceFormer', 'Mask2FormerVIS', 'MinVIS', 'O2VIS', 'O2VISOffline',
    'OnlineVIS', 'SeqFormer', 'Session', 'SipMaskVIS', 'VIS', 'VidEoMT',
    'restore_session', 'save_session'
]
