"""Clip-level data transforms."""
from .loading import LoadFrame, LoadVISAnnotations
from .pad_clip import PadClip

__all__ = ['LoadFrame', 'LoadVISAnnotations', 'PadClip']
