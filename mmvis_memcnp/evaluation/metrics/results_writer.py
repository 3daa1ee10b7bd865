"""Writing results.json and the submission archive, a track at a time.

Every process spools the tracks of its videos to a temporary file; in the end
one process puts the pieces together.  A file under its final name is always
complete.
"""
import json
import weakref
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from ...results.files import work_folder
from ...results.ownership import new_file
from ...results.results_json import SEPARATOR, write_entries


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

    def blocks(self) -> Iterator[bytes]:
        """The bytes, at most a megabyte at a time.

        Raises:
            ValueError: If the spool file has become shorter.
        """
        left = self.size
        if not left:
            return
        with open(self.path, 'rb') as source:
            source.seek(self.start)
            while left:
                block = source.read(min(left, 1 << 20))
                if not block:
                    raise ValueError(f'{self.path} ends early: was it changed '
                                     'while the results were collected?')
                left -= len(block)
                yield block


class ResultsSpool:
    """A temporary file of result entries, gone when it is closed.

    What a killed run left is cleared by the next one in the folder.

    Args:
        folder: folder for the file; must be visible to the process that
            calls `write_results`.
    """

    def __init__(self, folder: str | Path):
        stack = ExitStack()
        # Also when the process ends before `close`, as after Ctrl-C.
        self._close = weakref.finalize(self, stack.close)
        work = stack.enter_context(work_folder(folder, 'vis_results'))
        self._file = stack.enter_context(open(
            str(work / 'tracks.part'), 'wb'))

    def append(self, entries: Iterable[dict[str, Any]]) -> Piece:
        """Add the entries of one video; only one is in memory at a time."""
        start = self._file.tell()
        for entry in entries:
            if self._file.tell() > start:
                self._file.write(SEPARATOR)
            self._file.write(json.dumps(entry).encode())
        self._file.flush()
        return Piece(self._file.name, start, self._file.tell() - start)

    def close(self) -> None:
        """Delete the file."""
        self._close()


def write_results(pieces: Iterable[Piece], path: str | Path) -> None:
    """Join spooled videos into one results.json.

    Args:
        pieces: in the order of the file.
        path: the file; replaced as a whole, if it was written here.
    """
    with new_file(path, overwrite=True) as name, open(name, 'wb') as target:
        write_entries(target, (piece.blocks() for piece in pieces))


def write_submission(results: str | Path,
                     path: str | Path) -> None:
    """Pack results for an evaluation server.

    Args:
        results: a results.json.
        path: the archive: exactly ``results.json`` at its root.
    """
    with new_file(path, overwrite=True) as name, zipfile.ZipFile(
            name, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(results, 'results.json')


