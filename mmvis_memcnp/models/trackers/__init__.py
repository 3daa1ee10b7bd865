"""Trackers composed of an association and a memory."""
from .associations.bisoftmax import BiSoftmaxAssociation
from .associations.cues import CueAssociation
from .clip_matching import ClipMatching, ClipState
from .cue import OnlineTracker, TrackResult
from .greedy import GreedyTracker
from .memories.latest import LatestMemory
from .memories.state import CountedState, TrackState
from .memories.window import WindowMemory, WindowState

__all__ = [
    'BiSoftmaxAssociation', 'ClipMatching', 'ClipState', 'CountedState',
    'CueAssociation', 'GreedyTracker', 'LatestMemory', 'OnlineTracker',
    'TrackResult', 'TrackState', 'WindowMemory', 'WindowState'
]
