"""Trackers composed of an association and a memory."""
from .anchors import AnchorRows, AnchorTracker, AnchorTracks
from .associations import (
    BiSoftmaxAssociation,
    CueAssociation,
    HungarianAssociation,
)
from .base import DetectionTracker, TrackResult, TrackState
from .clip_matching import ClipMatching, ClipState
from .cue import CueState, CueTracker
from .greedy import GreedyTracker
from .memories import (
    LatestMemory,
    Memory,
    MemoryState,
    MomentumMemory,
    OccupancyMemory,
    SimilarityMemory,
    SimilarityState,
    WindowMemory,
    WindowState,
)
from .occupancy import OccupancyTracker
from .proposals import ProposalState, QueryProposals
from .referring import ReferringState, ReferringTracker
from .refiner import TemporalRefiner
from .row_anchors import AdaptiveAnchor
from .rows import Rows, RowState, RowTracker, TrackedFrame, reorder

__all__ = [
    'AdaptiveAnchor', 'AnchorRows', 'AnchorTracker', 'AnchorTracks',
    'BiSoftmaxAssociation', 'ClipMatching', 'ClipState', 'CueAssociation',
    'CueState', 'CueTracker', 'DetectionTracker', 'GreedyTracker',
    'HungarianAssociation', 'LatestMemory', 'Memory', 'MemoryState',
    'MomentumMemory', 'OccupancyMemory', 'OccupancyTracker', 'ProposalState',
    'QueryProposals', 'ReferringState', 'ReferringTracker', 'RowState',
    'RowTracker', 'Rows', 'SimilarityMemory', 'SimilarityState',
    'TemporalRefiner', 'TrackResult', 'TrackState', 'TrackedFrame',
    'WindowMemory', 'WindowState', 'reorder'
]
