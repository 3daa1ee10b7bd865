"""A json that is a list of objects, or has one, read object by object.

The text of one takes the memory of the last, and several processes may read
some each. Needs the compiled functions.
"""
from __future__ import annotations

import json
import mmap
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import compiled
from .json_rules import collected_later, parse_json


class JSONObjects:
    """The objects of an open json.

    Attributes:
        places (np.ndarray): int64 (N, 3), first byte of each object, the one
            behind its last, and the number that it has under the key.
    """

    def __init__(self, text: mmap.mmap, places: np.ndarray) -> None:
        self._text = text
        self.places = places

    def parse(self, which: np.ndarray) -> list[dict[str, Any]]:
        """Read some of the objects.

        If all of them can be read the json is a good one.

        Args:
            which (np.ndarray): int64 (K,), their positions.

        Raises:
            ValueError: If one is no json.
            RecursionError: If its lists are nested too deeply.
        """
        found = []
        with memoryview(self._text) as text, collected_later():
            for begin, end in self.places[which, :2].tolist():
                with text[begin:end] as part:
                    found.append(json.loads(str(part, 'utf-8')))
        return found


@contextmanager
def find_objects(path: str | Path, key: str) -> Iterator[JSONObjects | None]:
    """Open a json and find its objects.

    Args:
        path (str | Path): The file.
        key (str): Where each object has a whole number.

    Yields:
        JSONObjects | None: None where the compiled functions are missing, or
        the file is unusual or wrong.
    """
    text = _open(path)
    if text is None:
        yield None
        return
    with text:
        found = compiled.objects(text, key.encode())
        if found is None or text[found[1]:].strip(b' \t\n\r'):
            yield None
        else:
            yield JSONObjects(text, found[0])


def find_records(path: str | Path, name: str, keys: Sequence[str]
                 ) -> tuple[dict[str, Any], JSONObjects, list[np.ndarray]
                            ] | None:
    """Read a json but for one list of objects in it, which stays unread.

    Args:
        path (str | Path): The file, which stays open.
        name (str): Key of the list.
        keys (Sequence[str]): Where each object of it has a whole number; at
            least one.

    Returns:
        tuple[dict, JSONObjects, list[np.ndarray]] | None: The rest, without
        the list; its objects, by the first key; the numbers under each key,
        int64 (N,). None where the compiled functions are missing, or the
        file is unusual or wrong.
    """
    text = _open(path)
    begin = None if text is None else re.search(
        rb'"%b"\s*:\s*(?=\[)' % name.encode(), text)
    if text is None or begin is None:
        return None
    numbers: list[np.ndarray] = []
    for key in reversed(keys):
        found = compiled.objects(text, key.encode(), begin.end())
        if found is None:
            return None
        places, behind = found
        numbers.insert(0, places[:, 2])
    mark = secrets.token_hex(8)
    try:
        data = json.loads(str(text[:begin.end()] + b'"%b"' % mark.encode()
                              + text[behind:], 'utf-8'))
    except (ValueError, RecursionError):
        return None
    # Else a list of another object has this name.
    if not isinstance(data, dict) or data.get(name) != mark:
        return None
    del data[name]
    return data, JSONObjects(text, places), numbers


def _open(path: str | Path) -> mmap.mmap | None:
    """A file as bytes, None where it must be read otherwise."""
    if compiled.missing():
        return None
    try:
        with open(path, 'rb') as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # no file, a pipe, an empty file
        return None


def parse_list(path: str | Path, key: str) -> Any:
    """Content of a json, quicker if it is a list of objects.

    Args:
        path (str | Path): The file.
        key (str): Where each object has a whole number.

    Raises:
        ValueError: See :func:`~.json_rules.parse_json`.
    """
    with find_objects(path, key) as objects:
        if objects is not None:
            try:
                return objects.parse(np.arange(len(objects.places)))
            except (ValueError, RecursionError):
                pass  # said below
    return parse_json(path)
