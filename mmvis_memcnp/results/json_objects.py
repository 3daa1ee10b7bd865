"""A json that is a list of objects, read object by object.

The text of one takes the memory of the last, and several processes may read
some each. Needs the compiled functions.
"""
from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
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
    if compiled.missing():
        yield None
        return
    try:
        with open(path, 'rb') as file:
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # no file, a pipe, an empty file
        yield None
        return
    with text:
        places = compiled.objects(text, key.encode())
        yield None if places is None else JSONObjects(text, places)


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
