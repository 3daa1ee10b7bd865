"""What trackers remember of objects."""
from .average import MomentumMemory, OccupancyMemory
from .base import Memory, MemoryState
from .latest import LatestMemory
from .similarity import SimilarityMemory, SimilarityState
from .window import WindowMemory, WindowState

__all__ = [
    'LatestMemory', 'Memory', 'MemoryState', 'MomentumMemory',
    'OccupancyMemory', 'SimilarityMemory', 'SimilarityState', 'WindowMemory',
    'WindowState'
]
