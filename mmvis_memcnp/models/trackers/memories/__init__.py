"""What trackers remember of objects."""
from .latest import LatestMemory
from .state import CountedState, TrackState
from .window import WindowMemory, WindowState

__all__ = [
    'CountedState', 'LatestMemory', 'TrackState', 'WindowMemory',
    'WindowState'
]
