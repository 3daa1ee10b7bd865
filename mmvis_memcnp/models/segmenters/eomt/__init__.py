"""Encoder-only mask transformer: the frame network of VidEoMT."""
from .segmenter import STRIDE, EoMTSegmenter, FrameTokens

__all__ = ['STRIDE', 'EoMTSegmenter', 'FrameTokens']
