"""Trackers composed of an association and a memory."""
from .association import CueAssociation
from .bisoftmax import BiSoftmaxAssociation
from .clip_matching import ClipMatching, ClipState
from .greedy_tracker import GreedyTracker
from .latest_memory import LatestMemory
from .online_tracker import OnlineTracker, TrackResult
from .state import CountedState, TrackState
from .window_memory import WindowMemory, WindowState

__all__ = [
    'BiSoftmaxAssociation', 'ClipMatching', 'ClipState', 'CountedState',
    'CueAssociation', 'GreedyTracker', 'LatestMemory', 'OnlineTracker',
    'TrackResult', 'TrackState', 'WindowMemory', 'WindowState'
]
