"""The compiled functions for run-length codes and jsons, if they are built.

A library of plain C functions, so that scoring needs no PyTorch; without it
NumPy does the same (:mod:`~.spans`).
"""
import ctypes
import functools
import os
from mmap import mmap
from pathlib import Path

import numpy as np

_FOLDER = Path(__file__).parent
# Changes with the arguments of the functions; csrc/run_lengths.cpp has it too.
_VERSION = 2


@functools.cache
def _library() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    if os.environ.get('MMVIS_OPS') == 'torch':
        return 'MMVIS_OPS=torch'
    files = sorted(_FOLDER.glob('_compiled*.so'))
    if not files:
        return 'not built'
    try:
        library = ctypes.CDLL(str(files[0]))
        version = library.mmvis_version()
    except (OSError, AttributeError) as error:  # of another system
        return f'{files[0].name} cannot be loaded: {error}'
    if version != _VERSION:
        return f'{files[0].name} is of another version: run `make own-ops`'
    number, array = ctypes.c_int64, ctypes.c_void_p
    library.mmvis_decode.argtypes = [ctypes.c_char_p, array, array, number,
                                     array, array]
    library.mmvis_decode.restype = number
    library.mmvis_shared.argtypes = [array, array, array, array, array,
                                     number, array, number, array]
    library.mmvis_shared.restype = None
    library.mmvis_objects.argtypes = [array, number, ctypes.c_char_p, number,
                                      array, number, array]
    library.mmvis_objects.restype = number
    return library


def _address(values: np.ndarray, kind: type = np.int64) -> int:
    """Where an array lies that a function gets."""
    if values.dtype != kind or not values.flags.c_contiguous:
        raise TypeError(f'{values.dtype} where {np.dtype(kind)} in one piece '
                        'is needed')
    return values.__array_interface__['data'][0]


def missing() -> str:
    """Why the compiled functions are not used.

    Set the environment variable ``MMVIS_OPS=torch`` to leave them out.

    Returns:
        str: Empty if they are.
    """
    library = _library()
    return library if isinstance(library, str) else ''


def decode(text: bytes, ends: np.ndarray,
           pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Decode compressed run-length codes.

    Args:
        text (bytes): K codes, one behind the other.
        ends (np.ndarray): int64 (K,), where each ends; ascending, the last
            one is the length of ``text``.
        pixels (np.ndarray): int64 (K,), of each mask, less than 2**29.

    Returns:
        tuple[np.ndarray, np.ndarray] | None: int32 (S, 2), the first pixel
        of each span and the one behind its last, and int64 (K,), how many
        spans each code has, at least one. None if a code is not one, does
        not fill its mask, or has an empty run behind the first.
    """
    library = _library()
    assert isinstance(library, ctypes.CDLL)
    bounds = np.empty(((len(text) + len(ends)) // 2, 2), np.int32)
    rows = np.empty(len(ends), np.int64)
    count = library.mmvis_decode(
        text, _address(ends), _address(pixels), len(ends),
        _address(bounds, np.int32), _address(rows))
    return None if count < 0 else (bounds[:count], rows)


def shared(bounds: np.ndarray, offsets: np.ndarray, others: np.ndarray,
           other_offsets: np.ndarray, pairs: np.ndarray,
           room: int) -> np.ndarray:
    """Count the pixels that masks of two sides share.

    Args:
        bounds (np.ndarray): int32 (S, 2), spans of K masks.
        offsets (np.ndarray): int64 (K + 1,), where those of a mask begin.
        others (np.ndarray): The same of the other side.
        other_offsets (np.ndarray): The same of the other side.
        pairs (np.ndarray): int64 (N, 2), a mask of each side; equal ones of
            the other side one behind the other.
        room (int): Words of 64 pixels that a mask may have to be drawn;
            longer ones are compared span by span. Higher: more memory, 16
            bytes a word, and quicker on ragged masks.

    Returns:
        np.ndarray: int64 (N,), pixels.
    """
    library = _library()
    assert isinstance(library, ctypes.CDLL)
    found = np.empty(len(pairs), np.int64)
    words = np.empty((room, 2), np.uint64)
    library.mmvis_shared(
        _address(bounds, np.int32), _address(offsets),
        _address(others, np.int32), _address(other_offsets), _address(pairs),
        len(pairs), _address(words, np.uint64), room, _address(found))
    return found


def objects(text: bytes | mmap, key: bytes,
            begin: int = 0) -> tuple[np.ndarray, int] | None:
    """Find the objects of a list of objects in a json.

    Only the outer list is checked: if all objects, as they are cut out here,
    are good, so is the list.

    Args:
        text (bytes | mmap): The json, in UTF-8.
        key (bytes): Where each object has a whole number of at most 18
            digits.
        begin (int): Where the list begins. Defaults to 0.

    Returns:
        tuple[np.ndarray, int] | None: int64 (N, 3), first byte of each
        object, the one behind its last, and the number; and the byte behind
        the list. None if this is no such list, or not read so easily.
    """
    library = _library()
    assert isinstance(library, ctypes.CDLL)
    data = np.frombuffer(text, np.uint8)[begin:]
    behind = np.zeros(1, np.int64)
    room = 1 << 12
    while True:
        found = np.empty((room, 3), np.int64)
        count = library.mmvis_objects(_address(data, np.uint8), len(data),
                                      key, len(key), _address(found), room,
                                      _address(behind))
        if count >= 0:
            found[:count, :2] += begin
            return found[:count], begin + int(behind[0])
        if count != -2:  # else there are more
            return None
        room *= 8
