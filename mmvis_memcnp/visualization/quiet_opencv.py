"""OpenCV prints that it replaces the tag of VP8 in a webm.

It looks like an error, and the file is as it should be. The line comes from
C, so that only the file descriptor can be silenced. Fixed when OpenCV's
writer knows the tags of Matroska.
"""
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """In this block nothing reaches the standard error; of other threads
    either, so keep it short."""
    _flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing to silence
        yield
        return
    try:
        with open(os.devnull, 'wb') as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        _flush()
        os.dup2(kept, 2)
        os.close(kept)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
