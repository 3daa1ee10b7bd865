"""Containers of results."""
from .frame_result import empty_frame_result, frame_result
from .masks import decode_masks, encode_masks, rle_to_json
from .rle import RLE, to_rle
from .scoring import (
    LatestClassScoring,
    MajorityScoring,
    MeanClassScoring,
    VideoScoring,
)
from .sinks import FileSink, MemorySink, Record, Sink
from .store import Track, TrackStore, VideoResult

__all__ = [
    'FileSink', 'LatestClassScoring', 'MajorityScoring', 'MeanClassScoring',
    'MemorySink', 'RLE', 'Record', 'Sink', 'Track', 'TrackStore',
    'VideoResult', 'VideoScoring', 'decode_masks', 'empty_frame_result',
    'encode_masks', 'frame_result', 'rle_to_json', 'to_rle'
]
