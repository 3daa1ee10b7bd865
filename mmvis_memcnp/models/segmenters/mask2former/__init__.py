"""Mask2Former: the frame network of MinVIS and of what followed it."""
from .decoder import Mask2FormerDecoder, Mask2FormerVideoDecoder
from .pixel_decoder import Mask2FormerPixelDecoder, PixelMaps
from .queries import ClipQueries, FrameQueries
from .recurrent_decoder import RecurrentDecoder
from .segmenter import Mask2FormerSegmenter

__all__ = [
    'ClipQueries', 'FrameQueries', 'Mask2FormerDecoder',
    'Mask2FormerPixelDecoder', 'Mask2FormerSegmenter',
    'Mask2FormerVideoDecoder', 'PixelMaps', 'RecurrentDecoder'
]
