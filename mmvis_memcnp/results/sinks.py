"""Where the instances of past frames go: memory, or a file on disk."""
import math
import shutil
import struct
import tempfile
from array import array
from collections.abc import Iterator
from itertools import repeat
from typing import IO, BinaryIO, NamedTuple, Protocol

from .masks import RLE

Four = tuple[float, float, float, float]


class Record(NamedTuple):
    """One instance in one frame.

    Attributes:
        frame (int): Position of the frame in the video, from 0.
        id (int): Identity.
        label (int): 0-based class index.
        score (float): Confidence.
        bbox (tuple): x1, y1, x2, y2 in pixels of the original frame.
        sigmas (tuple, optional): Standard deviations of the box sides.
        rle (dict): COCO run-length code of the mask.
        class_prob (float, optional): Probability of the label.
        centerness (float, optional): Predicted centre-ness.
        uncertainty (float, optional): What orders boxes by how unsure the
            network is of them.
    """
    frame: int
    id: int
    label: int
    score: float
    bbox: Four
    sigmas: Four | None
    rle: RLE
    class_prob: float | None = None
    centerness: float | None = None
    uncertainty: float | None = None


# position of the identity's previous record, frame, id, label, score, box;
# sigmas, class probability, centre-ness and uncertainty, NaN where they are
# not known; mask height and width, length of the code that follows
_HEADER = struct.Struct('<qqqif4f4f3fiiI')


def pack_record(record: Record, previous: int = -1) -> bytes:
    """A record as bytes.

    Args:
        record (Record): Numbers are kept in single precision, as results are.
        previous (int): Position of the identity's record before it in a file;
            -1 = it has none, or that does not matter.
    """
    counts = record.rle['counts']
    if isinstance(counts, str):
        counts = counts.encode('utf-8')
    height, width = record.rle['size']
    sigmas = record.sigmas or (math.nan, ) * 4
    return _HEADER.pack(
        previous, record.frame, record.id, record.label, record.score,
        *record.bbox, *sigmas,
        *(math.nan if value is None else value for value in record[7:]),
        height, width, len(counts)) + counts


def unpack_records(file: IO[bytes]) -> Iterator[Record]:
    """All records of a file of :func:`pack_record`."""
    while header := file.read(_HEADER.size):
        yield _unpack(header, file)


def _unpack(header: bytes, file: IO[bytes]) -> Record:
    """The record of a header, after which the file has the code."""
    (_, frame, track_id, label, score, *numbers, height, width,
     length) = _HEADER.unpack(header)
    bbox, sigmas = numbers[:4], numbers[4:8]
    rle = RLE(size=[height, width], counts=file.read(length))
    return Record(frame, track_id, label, score, tuple(bbox),
                  None if sigmas[0] != sigmas[0] else tuple(sigmas), rle,
                  *(None if value != value else value
                    for value in numbers[8:]))


class Sink(Protocol):
    """Keeps records; written in the order of the frames."""

    def write(self, record: Record) -> None:
        """Keep a record."""

    def track(self, track_id: int) -> Iterator[Record]:
        """Records of one identity, in the order of the frames."""

    def scan(self) -> Iterator[Record]:
        """All records in the order in which they were written."""

    def close(self) -> None:
        """Free what the sink holds."""


class MemorySink:
    """Keeps every record in memory: some hundred bytes each."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._of_track: dict[int, list[Record]] = {}

    def write(self, record: Record) -> None:
        """Keep a record."""
        self._records.append(record)
        self._of_track.setdefault(record.id, []).append(record)

    def track(self, track_id: int) -> Iterator[Record]:
        """Records of one identity, in the order of the frames."""
        yield from self._of_track.get(track_id, ())

    def scan(self) -> Iterator[Record]:
        """All records in the order in which they were written."""
        yield from self._records

    def close(self) -> None:
        """Forget the records."""
        self._records.clear()
        self._of_track.clear()


class NoSink:
    """Keeps nothing, for those who take results as they come.

    Tracks of such a session have scores and labels, but no records.
    """

    def write(self, record: Record) -> None:
        """Let a record go."""

    def track(self, track_id: int) -> Iterator[Record]:
        """None."""
        return iter(())

    def scan(self) -> Iterator[Record]:
        """None."""
        return iter(())

    def close(self) -> None:
        """There is nothing to free."""


class FileSink:
    """Writes every record to a file, so that memory does not grow with time.

    A record on disk points back at the one before it of the same identity.
    What stays in memory is therefore one file position an identity, 8 bytes:
    identities are numbers from 0 on, few of which are left out.

    Args:
        path (str, optional): File to write, overwritten if it exists; it
            stays after ``close()``. Without it the file is a temporary one
            that goes with the sink. Defaults to None.
    """
    def __init__(self, path: str | None = None) -> None:
        self._file: BinaryIO
        self._path = path
        if path is None:
            self._file = tempfile.TemporaryFile(prefix='mmvis_tracks_')
        else:
            self._file = open(path, 'w+b')
        self._end = 0
        self._last = array('q')  # by identity; -1 = it has no record

    def write(self, record: Record) -> None:
        """Append a record to the file."""
        if record.id < 0:
            raise ValueError(f'{record.id} is no identity: they are counted '
                             'from 0 on.')
        if record.id >= len(self._last):
            # By more than is needed now, as lists grow.
            more = record.id + 1 - len(self._last) + len(self._last) // 8
            self._last.extend(repeat(-1, more))
        packed = pack_record(record, self._last[record.id])
        self._file.seek(self._end)
        self._file.write(packed)
        self._last[record.id] = self._end
        self._end += len(packed)

    def track(self, track_id: int) -> Iterator[Record]:
        """Records of one identity, in the order of the frames."""
        positions = []
        position = self._last[track_id] if (
            0 <= track_id < len(self._last)) else -1
        while position >= 0:
            positions.append(position)
            self._file.seek(position)
            position = struct.unpack('<q', self._file.read(8))[0]
        for position in reversed(positions):
            yield self._read(position)[0]

    def scan(self) -> Iterator[Record]:
        """All records in the order in which they were written."""
        position, end = 0, self._end
        while position < end:
            record, position = self._read(position)
            yield record

    def __deepcopy__(self, memo: dict) -> 'FileSink':
        """A temporary file of its own with the same records.

        Raises:
            ValueError: If the file has a name, which two cannot share.
        """
        if self._path is not None:
            raise ValueError(f'The results go to {self._path}, which two '
                             'sessions cannot share: copy a session that '
                             'has FileSink() without a path.')
        other = FileSink()
        self._file.seek(0)
        shutil.copyfileobj(self._file, other._file)
        other._end, other._last = self._end, self._last[:]
        return other

    def close(self) -> None:
        """Close the file; a temporary one is deleted."""
        self._file.close()

    @property
    def num_bytes(self) -> int:
        """Bytes written so far."""
        return self._end

    def _read(self, position: int) -> tuple[Record, int]:
        """The record at a file position, and the position after it."""
        self._file.seek(position)
        record = _unpack(self._file.read(_HEADER.size), self._file)
        return record, position + _HEADER.size + len(record.rle['counts'])
