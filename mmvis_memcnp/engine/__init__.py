"""Hooks, loops and checkpoint handling."""
from .checkpoint_check import CheckpointCheckHook
from .checkpoint_hook import AtomicCheckpointHook, AtomicLocalBackend
from .draw_hook import DrawResultsHook
from .errors import NonFiniteLossError, UserError, run_tool, user_message
from .loops import VideoTestLoop, VideoValLoop
from .nan_stop_hook import NaNStopHook
from .samplers import ResumableSampler
from .seeding import SampleIndex, SeededDataset
from .train_loops import ResumableEpochTrainLoop, ResumableIterTrainLoop

__all__ = [
    'AtomicCheckpointHook', 'AtomicLocalBackend', 'CheckpointCheckHook',
    'DrawResultsHook', 'NaNStopHook', 'NonFiniteLossError',
    'ResumableEpochTrainLoop',
    'ResumableIterTrainLoop', 'ResumableSampler', 'SampleIndex',
    'SeededDataset', 'UserError', 'VideoTestLoop', 'VideoValLoop', 'run_tool',
    'user_message'
]
