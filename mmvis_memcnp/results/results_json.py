"""results.json of the YouTube-VIS servers: one entry a track."""
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Protocol

from .codes import rle_to_json
from .rle import RLE
from .sinks import Record

#: Between two entries of the file.
SEPARATOR = b',\n'


class ScoredTrack(Protocol):
    """A track under one label."""

    @property
    def score(self) -> float:
        """Confidence; larger is surer."""

    @property
    def segmentations(self) -> Sequence[RLE | None]:
        """A run-length code or None a frame."""


def result_entry(video_id: int, category_id: int, track: ScoredTrack) -> dict:
    """One entry of results.json.

    Args:
        video_id (int): Id of the video in the json of the ground truth.
        category_id (int): Category id of that json (not a class index).
        track (ScoredTrack): What was found.

    Returns:
        dict: ``video_id``, ``category_id``, ``score`` and ``segmentations``:
        a code with str counts or None a frame.
    """
    return dict(
        video_id=int(video_id),
        category_id=int(category_id),
        score=float(track.score),
        segmentations=[rle and rle_to_json(rle)
                       for rle in track.segmentations])


def box_entry(records: Iterable[Record], num_frames: int,
              shape: tuple[int, int]) -> dict:
    """Boxes of a track and how exact they are; more than servers ask for.

    Args:
        records (Iterable[Record]): Of the track, with standard deviations
            that were mapped.
        num_frames (int): Of the video.
        shape (tuple[int, int]): (H, W) of the frames.

    Returns:
        dict: ``bboxes``: x, y, width and height, and ``box_std``: standard
        deviations of the left, upper, right and lower side, in pixels, or
        None, a frame.
    """
    height, width = shape
    boxes: list = [None] * num_frames
    spreads: list = [None] * num_frames
    for record in records:
        x1, y1, x2, y2 = record.bbox
        boxes[record.frame] = [round(v, 2) for v in (x1, y1, x2 - x1,
                                                     y2 - y1)]
        if record.sigmas is not None:
            spreads[record.frame] = [
                round(s * side, 3) for s, side in zip(
                    record.sigmas, (width, height) * 2, strict=True)]
    return dict(bboxes=boxes, box_std=spreads)


def write_entries(file: BinaryIO, pieces: Iterable[Iterable[bytes]]) -> None:
    """Write results.json, a block at a time.

    Args:
        file (BinaryIO): Open for writing.
        pieces (Iterable[Iterable[bytes]]): Blocks of bytes that together are
            one entry, or several with :data:`SEPARATOR` between; a piece
            without bytes is left out.
    """
    file.write(b'[')
    separator = b'\n'
    for piece in pieces:
        for block in piece:
            if block:
                file.write(separator)
                file.write(block)
                separator = b''
        separator = separator or SEPARATOR
    file.write(b'\n]\n')
