"""Hooks, loops and checkpoint handling."""
from .checkpoint_check import CheckpointCheckHook
from .checkpoint_hook import AtomicCheckpointHook, AtomicLocalBackend
from .draw_hook import DrawResultsHook
from .exported_hook import ExportedNetworkHook
from .loops import VideoTestLoop, VideoValLoop
from .nan_stop_hook import NaNStopHook
from .optimize import OptimizeHook
from .progress_hook import ProgressHook
from .samplers import ResumableSampler
from .seeding import SampleIndex, SeededDataset
from .sharding import ShardedOptimWrapper, layers_of
from .train_loops import ResumableEpochTrainLoop, ResumableIterTrainLoop

__all__ = [
    'AtomicCheckpointHook', 'AtomicLocalBackend', 'CheckpointCheckHook',
    'DrawResultsHook', 'ExportedNetworkHook', 'NaNStopHook', 'OptimizeHook',
    'ProgressHook', 'ResumableEpochTrainLoop', 'ResumableIterTrainLoop',
    'ResumableSampler', 'SampleIndex', 'SeededDataset', 'ShardedOptimWrapper',
    'VideoTestLoop', 'VideoValLoop', 'layers_of'
]
