"""What comes out: values of frames, their masks, and tracks."""
from .filters import ShortTracks, TrackFilter
from .frame import (
    FrameInstances,
    empty_frame_result,
    frame_result,
    mask_boxes,
)
from .masks import decode_masks, encode_masks, rle_to_json
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
from .sinks import FileSink, MemorySink, Record, Sink
from .store import Track, TrackStore, VideoResult

__all__ = [
    'RLE', 'WAYS_BACK', 'FileSink', 'FrameInstances', 'LatestClass',
    'MajorityLabel', 'MaskSource', 'MeanClass', 'MeanQuery', 'MemorySink',
    'Ranked', 'Ranking', 'Record', 'ShortTracks', 'SigmaMap', 'Sink',
    'TopPairs', 'TopQuarterQuery', 'Track', 'TrackFilter', 'TrackStore',
    'VideoResult', 'decode_masks', 'empty_frame_result', 'encode_masks',
    'frame_result', 'mask_boxes', 'rle_to_json', 'to_rle'
]
