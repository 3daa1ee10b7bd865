"""Models and their parts."""
from . import (
    backbones,
    layers,
    losses,
    memcnp,
    necks,
    segmenters,
    task_modules,
    trackers,
    vis,
)

__all__ = [
    'backbones', 'layers', 'losses', 'memcnp', 'necks', 'segmenters',
    'task_modules', 'trackers', 'vis'
]
