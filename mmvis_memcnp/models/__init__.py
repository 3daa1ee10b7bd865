"""Models and their parts."""
from . import (
    backbones,
    layers,
    losses,
    matching,
    memcnp,
    segmenters,
    trackers,
    truth,
    vis,
)

__all__ = [
    'backbones', 'layers', 'losses', 'matching', 'memcnp', 'segmenters',
    'trackers', 'truth', 'vis'
]
