"""Clip-level data transforms."""
from .loading import LoadFrame, LoadVISAnnotations
from .pad_clip import PadClip
from .pseudo_motion import ClipCrop, ClipPaste, ClipRotation

__all__ = [
    'ClipCrop', 'ClipPaste', 'ClipRotation', 'LoadFrame',
    'LoadVISAnnotations', 'PadClip'
]
