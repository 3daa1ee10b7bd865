"""Mask2Former: the frame network of MinVIS and of what followed it."""
from .decoder import Mask2FormerDecoder
from .pixel_decoder import Mask2FormerPixelDecoder, PixelMaps
from .queries import ClipQueries, FrameQueries
from .segmenter import Mask2FormerSegmenter
from .video_decoder import Mask2FormerVideoDecoder

__all__ = [
    'ClipQueries', 'FrameQueries', 'Mask2FormerDecoder',
    'Mask2FormerPixelDecoder', 'Mask2FormerSegmenter',
    'Mask2FormerVideoDecoder', 'PixelMaps'
]
