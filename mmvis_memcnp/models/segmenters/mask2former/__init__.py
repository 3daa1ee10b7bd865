"""Mask2Former: the frame network of MinVIS and of what followed it."""
from .decoder import Mask2FormerDecoder
from .pixel_decoder import Mask2FormerPixelDecoder, PixelMaps
from .queries import FrameQueries
from .segmenter import Mask2FormerSegmenter

__all__ = [
    'FrameQueries', 'Mask2FormerDecoder', 'Mask2FormerPixelDecoder',
    'Mask2FormerSegmenter', 'PixelMaps'
]
