"""Writing results.json and the submission archive, a track at a time.

Every process spools the tracks of its videos to a temporary file; in the end
one process puts the pieces together.  A file under its final name is always
complete.
"""
import json
import os
import tempfile
import weakref
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterable, NamedTuple, Union

from ...results import rle_to_json
from ...results.ownership import new_file

_SEPARATOR = b',\n'


class Piece(NamedTuple):
    """Where the tracks of one video lie.

    Attributes:
        path: spool file.
        start: first byte.
        size: number of bytes, 0 for a video without tracks.
    """
    path: str
    start: int
    size: int


class ResultsSpool:
    """A temporary file of result entries, gone when it is closed.

    Args:
        folder: folder for the file; must be visible to the process that
            calls `write_results`.
    """

    def __init__(self, folder: Union[str, Path]):
        os.makedirs(folder, exist_ok=True)
        self._file = tempfile.NamedTemporaryFile(
            dir=folder, prefix='.vis_results_', suffix='.part')
        # Also when the process ends before `close`, as after Ctrl-C.
        weakref.finalize(self, self._file.close)

    def append(self, entries: Iterable[Dict[str, Any]]) -> Piece:
        """Add the entries of one video; only one is in memory at a time."""
        start = self._file.tell()
        for entry in entries:
            if self._file.tell() > start:
                self._file.write(_SEPARATOR)
            self._file.write(json.dumps(entry).encode())
        self._file.flush()
        return Piece(self._file.name, start, self._file.tell() - start)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


def result_entry(video_id: int, category_id: int,
                 track: Any) -> Dict[str, Any]:
    """One entry of results.json.

    Args:
        video_id: id in the ground truth's json.
        category_id: category id of the json (not a class index).
        track: has ``score`` and ``segmentations`` (run-length codes with
            bytes or str, or None, one a frame).
    """
    return dict(
        video_id=int(video_id),
        category_id=int(category_id),
        score=float(track.score),
        segmentations=[
            rle and rle_to_json(rle) for rle in track.segmentations
        ])


def write_results(pieces: Iterable[Piece], path: Union[str, Path]) -> None:
    """Join spooled videos into one results.json.

    Args:
        pieces: in the order of the file.
        path: the file; replaced as a whole, if it was written here.
    """
    with new_file(path, overwrite=True) as name, open(name, 'wb') as target:
        target.write(b'[')
        first = True
        for piece in pieces:
            if not piece.size:
                continue
            if not first:
                target.write(_SEPARATOR)
            first = False
            with open(piece.path, 'rb') as source:
                source.seek(piece.start)
                _copy(source, target, piece.size)
        target.write(b']')


def write_submission(results: Union[str, Path],
                     path: Union[str, Path]) -> None:
    """Pack results for an evaluation server.

    Args:
        results: a results.json.
        path: the archive: exactly ``results.json`` at its root.
    """
    with new_file(path, overwrite=True) as name, zipfile.ZipFile(
            name, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(results, 'results.json')


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size:
        block = source.read(min(size, 1 << 20))
        if not block:
            raise ValueError(f'{source.name} ends early: was it changed '
                             'while the results were collected?')
        target.write(block)
        size -= len(block)
