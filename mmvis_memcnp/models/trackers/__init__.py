"""Trackers composed of an association and a memory."""
from .association import CueAssociation
from .clip_matching import ClipMatching, ClipState
from .latest_memory import LatestMemory
from .online_tracker import OnlineTracker, TrackResult
from .state import TrackState

__all__ = [
    'ClipMatching', 'ClipState', 'CueAssociation', 'LatestMemory',
    'OnlineTracker', 'TrackResult', 'TrackState'
]
