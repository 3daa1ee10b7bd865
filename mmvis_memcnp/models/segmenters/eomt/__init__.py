"""Encoder-only mask transformer: the frame network of VidEoMT."""
from .segmenter import STRIDE, EoMTSegmenter, FrameRows, FrameTokens

__all__ = ['STRIDE', 'EoMTSegmenter', 'FrameRows', 'FrameTokens']
