"""Trackers composed of an association and a memory."""
from .association import CueAssociation
from .latest_memory import LatestMemory
from .online_tracker import OnlineTracker, TrackResult
from .state import TrackState

__all__ = [
    'CueAssociation', 'LatestMemory', 'OnlineTracker', 'TrackResult',
    'TrackState'
]
