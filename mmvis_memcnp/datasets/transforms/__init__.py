"""Clip-level data transforms."""
from .loading import LoadFrame, LoadVISAnnotations

__all__ = ['LoadFrame', 'LoadVISAnnotations']
