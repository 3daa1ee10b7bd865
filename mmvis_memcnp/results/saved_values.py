"""Values in a file, written and read without pickle.

What a session holds of a video are tensors, numbers and containers of them in
a few classes. Each of these says so by :func:`saveable`; nothing else is
written or made. Reading looks names up in that list, fills fields with plain
data and never executes what a file says.
"""
from __future__ import annotations

import base64
import json
import math
import struct
import zipfile
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ..errors import SavedFileError
from .ownership import new_file

T = TypeVar('T')

_CLASSES: dict[str, type] = {}
_DTYPES = {str(dtype).removeprefix('torch.'): dtype for dtype in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64,
    torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)}
_ARRAYS = dict(f='<f4', d='<f8')
_CONTAINERS: dict[str, Callable[[list], Any]] = dict(
    list=list, tuple=tuple, deque=deque, set=set)
_TREE, _TENSORS = 'values.json', 'tensors'
_DAMAGE = (zipfile.BadZipFile, LookupError, ValueError, TypeError,
           AttributeError, EOFError, OverflowError, StopIteration,
           RuntimeError, struct.error)


def saveable(cls: type[T]) -> type[T]:
    """Let values of a class be saved: a dataclass or a ``NamedTuple``.

    Its fields must be saveable. Tensors are read to the device of who reads;
    fields that the class lists in ``CPU_FIELDS`` stay on the CPU.
    """
    _CLASSES[_name(cls)] = cls
    return cls


def state_of(owner: object) -> dict[str, Any]:
    """What an object knows of a video: its attributes with an underscore.

    The others are options, which come from the config.
    """
    return {name: value for name, value in vars(owner).items()
            if name.startswith('_')}


def set_state(owner: object, state: Mapping[str, Any]) -> None:
    """Let an object go on from what :func:`state_of` gave of another.

    Raises:
        OtherVersionError: If the two know different things.
    """
    if state_of(owner).keys() != state.keys():
        raise OtherVersionError(type(owner).__name__)
    vars(owner).update(state)


class OtherVersionError(Exception):
    """A file holds what this version has no place for."""


# -- writing ----------------------------------------------------------------
class ValueWriter:
    """Takes the values of a file; see :func:`writing`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._count = 0

    def add(self, tree: Mapping[str, Any]) -> None:
        """Write all values but those of :meth:`add_bytes`; once a file.

        Args:
            tree (Mapping): Values by name.

        Raises:
            TypeError: If something in it is not saveable.
        """
        encoded = {name: self._encode(value) for name, value in tree.items()}
        self._archive.writestr(_TREE, json.dumps(encoded))

    def add_bytes(self, name: str, chunks: Iterator[bytes]) -> None:
        """Write bytes under a name, as they come."""
        with self._archive.open(name, 'w', force_zip64=True) as file:
            for chunk in chunks:
                file.write(chunk)

    def _encode(self, value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Tensor):
            return dict(tensor=self._store(value))
        if isinstance(value, array) and value.typecode in _ARRAYS:
            raw = np.asarray(value, _ARRAYS[value.typecode]).tobytes()
            return dict(array=value.typecode,
                        raw=base64.b64encode(raw).decode())
        if isinstance(value, InstanceData):
            return dict(instances=self._encode(dict(value.items())),
                        meta=self._encode(dict(value.metainfo_items())))
        name = _name(type(value))
        if name in _CLASSES:
            return dict(made=name, fields={
                field: self._encode(getattr(value, field))
                for field in _fields(type(value))})
        if isinstance(value, Mapping):
            kind = 'counter' if isinstance(value, Counter) else 'dict'
            return {kind: [[self._encode(key), self._encode(each)]
                           for key, each in value.items()]}
        if type(value) in (list, deque, set):
            kind = type(value).__name__
        elif type(value) in (tuple, torch.Size):
            kind = 'tuple'
        else:
            raise TypeError(
                f'A {type(value).__name__} cannot be saved: make it a '
                'dataclass or NamedTuple with the decorator saveable.')
        return {kind: [self._encode(each) for each in value]}

    def _store(self, tensor: Tensor) -> dict[str, Any]:
        """Write a tensor; its place in memory is kept, which may decide the
        last bit of what is computed from it."""
        strides = tensor.stride()
        order = sorted(range(tensor.dim()), key=lambda axis: -strides[axis])
        dense = tensor.detach().permute(order).contiguous().cpu()
        number, self._count = self._count, self._count + 1
        self._archive.writestr(f'{_TENSORS}/{number}', as_bytes(dense))
        return dict(number=number, order=order, shape=list(dense.shape),
                    dtype=str(tensor.dtype).removeprefix('torch.'))


def as_bytes(tensor: Tensor) -> bytes:
    """The values of a tensor, in order, little-endian."""
    flat = tensor.detach().cpu().contiguous().flatten()
    raw = flat.view(torch.uint8).numpy() if len(flat) else np.zeros(0)
    if np.little_endian:
        return raw.tobytes()
    return raw.reshape(-1, flat.element_size())[:, ::-1].tobytes()


@contextmanager
def writing(path: str | Path, overwrite: bool) -> Iterator[ValueWriter]:
    """Write a file of values, whole or not at all.

    Args:
        path (str | Path): See :func:`~.ownership.new_file`.
        overwrite (bool): Whether a file that was made here may be replaced.

    Raises:
        OutputError: If the file may not be written.
    """
    with new_file(path, overwrite) as temporary, \
            zipfile.ZipFile(temporary, 'w') as archive:
        yield ValueWriter(archive)


# -- reading ----------------------------------------------------------------
class ValueReader:
    """Gives the values of a file; see :func:`reading`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        # Stored as they are, so that nothing is larger than the file.
        if any(info.compress_type != zipfile.ZIP_STORED
               for info in archive.infolist()):
            raise ValueError('it is compressed')
        self._tree = json.loads(archive.read(_TREE))
        if not isinstance(self._tree, dict):
            raise ValueError('it holds no values by name')

    def get(self, name: str, device: torch.device | str = 'cpu') -> Any:
        """The value of a name.

        Args:
            name (str): As given to :meth:`ValueWriter.add`.
            device: Where its tensors go.

        Raises:
            OtherVersionError: If it holds what this version does not know.
        """
        return self._decode(self._tree[name], torch.device(device))

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """A file of the bytes of :meth:`ValueWriter.add_bytes`."""
        with self._archive.open(name) as file:
            yield file

    def _decode(self, value: Any, device: torch.device) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        kind = next(iter(value))
        held = value[kind]
        if kind == 'tensor':
            return self._load(held).to(device)
        if kind == 'array':
            raw = base64.b64decode(value['raw'])
            return array(held, np.frombuffer(raw, _ARRAYS[held]).tolist())
        if kind == 'instances':
            return InstanceData(metainfo=self._decode(value['meta'], device),
                                **self._decode(held, device))
        if kind == 'made':
            return self._make(held, value['fields'], device)
        if kind in ('dict', 'counter'):
            pairs = {self._decode(key, device): self._decode(each, device)
                     for key, each in held}
            return pairs if kind == 'dict' else Counter(pairs)
        return _CONTAINERS[kind]([self._decode(each, device)
                                  for each in held])

    def _make(self, name: str, values: dict[str, Any],
              device: torch.device) -> Any:
        cls = _CLASSES.get(name)
        if cls is None or set(_fields(cls)) != set(values):
            raise OtherVersionError(name)
        at_home = getattr(cls, 'CPU_FIELDS', ())
        return cls(**{
            field: self._decode(value, torch.device('cpu') if field in at_home
                                else device)
            for field, value in values.items()})

    def _load(self, held: dict[str, Any]) -> Tensor:
        dtype, shape = _DTYPES[held['dtype']], held['shape']
        raw = self._archive.read(f'{_TENSORS}/{held["number"]}')
        if len(raw) != math.prod(shape) * dtype.itemsize:
            raise ValueError('a tensor has another size')
        if not np.little_endian:
            raw = np.frombuffer(raw, np.uint8).reshape(
                -1, dtype.itemsize)[:, ::-1].tobytes()
        flat = torch.frombuffer(bytearray(raw), dtype=dtype) if raw else \
            torch.empty(0, dtype=dtype)
        back = sorted(range(len(shape)), key=held['order'].__getitem__)
        return flat.reshape(shape).permute(back)


@contextmanager
def reading(path: str | Path) -> Iterator[ValueReader]:
    """Read a file of values.

    Args:
        path (str | Path): Of :func:`writing`.

    Raises:
        FileNotFoundError: If there is none.
        SavedFileError: If it is damaged or something else; also for what goes
            wrong with its values while it is open.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'There is no saved session at {path}: '
                                'correct the path.')
    try:
        with zipfile.ZipFile(path) as archive:
            yield ValueReader(archive)
    except (SavedFileError, torch.cuda.OutOfMemoryError):
        raise
    except _DAMAGE as error:
        raise SavedFileError(f'{path} is damaged, or no saved session: save '
                             'it anew.') from error


def _name(cls: type) -> str:
    """How a class is called in files; looked up, never imported."""
    return f'{cls.__module__}.{cls.__qualname__}'


def _fields(cls: type) -> list[str]:
    if is_dataclass(cls):
        return [field.name for field in fields(cls)]
    return list(cls._fields)  # type: ignore[attr-defined]
