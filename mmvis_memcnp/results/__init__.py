"""What comes out: values of frames, their masks, and tracks.

The names are looked up when they are used: some of the modules need torch,
and tools that need others of them start faster without it.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .codes import decode_masks, rle_to_json
    from .detections import to_detections
    from .filters import ShortTracks, TrackFilter
    from .frame import (
        FrameInstances,
        empty_frame_result,
        frame_result,
        mask_boxes,
    )
    from .frame_arrays import FrameArrays
    from .masks import encode_masks
    from .pixels import WAYS_BACK, MaskSource
    from .ranking import (
        LatestClass,
        MajorityLabel,
        MeanClass,
        MeanQuery,
        Ranked,
        Ranking,
        TopPairs,
        TopQuarterQuery,
    )
    from .rle import RLE, to_rle
    from .sigma_map import SigmaMap
    from .sinks import FileSink, MemorySink, NoSink, Record, Sink
    from .store import Track, TrackStore, VideoResult

_HOMES = {
    'codes': ('decode_masks', 'rle_to_json'),
    'detections': ('to_detections', ),
    'filters': ('ShortTracks', 'TrackFilter'),
    'frame': ('FrameInstances', 'empty_frame_result', 'frame_result',
              'mask_boxes'),
    'frame_arrays': ('FrameArrays', ),
    'masks': ('encode_masks', ),
    'pixels': ('WAYS_BACK', 'MaskSource'),
    'ranking': ('LatestClass', 'MajorityLabel', 'MeanClass', 'MeanQuery',
                'Ranked', 'Ranking', 'TopPairs', 'TopQuarterQuery'),
    'rle': ('RLE', 'to_rle'),
    'sigma_map': ('SigmaMap', ),
    'sinks': ('FileSink', 'MemorySink', 'NoSink', 'Record', 'Sink'),
    'store': ('Track', 'TrackStore', 'VideoResult'),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f'.{module}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = [
    'RLE', 'WAYS_BACK', 'FileSink', 'FrameArrays', 'FrameInstances',
    'LatestClass', 'MajorityLabel', 'MaskSource', 'MeanClass', 'MeanQuery',
    'MemorySink', 'NoSink', 'Ranked', 'Ranking', 'Record', 'ShortTracks',
    'SigmaMap', 'Sink', 'TopPairs', 'TopQuarterQuery', 'Track', 'TrackFilter',
    'TrackStore', 'VideoResult', 'decode_masks', 'empty_frame_result',
    'encode_masks', 'frame_result', 'mask_boxes', 'rle_to_json',
    'to_detections', 'to_rle'
]
