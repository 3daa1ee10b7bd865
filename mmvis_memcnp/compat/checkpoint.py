"""Checkpoints are data: they load without executing code.

Causes. Since PyTorch 2.6 ``torch.load`` refuses everything but tensors and
plain containers, also the logs (``HistoryBuffer``) and NumPy arrays that
mmengine 0.10.7 itself saves, so that neither ``resume`` nor ``load_from``
works. mmengine knows neither Detectron2's pickled NumPy weights nor the key
``model`` that most official checkpoints wrap their weights in. DETR and the
systems made from it save the ``argparse.Namespace`` of their command line
beside the weights. And mmengine's download path unpickles anything.

Here every file goes through an unpickler with a closed list of names. What a
saved ``HistoryBuffer`` asks ``getattr`` for (its statistics, as bound
methods) is never looked up: the class has them.
"""
import os
import os.path as osp
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint

from ..errors import CheckpointError

MapLocation = Any
"""What ``torch.load`` takes: a device, its name, a dict or a function."""


class _SavedHistory(HistoryBuffer):
    """Takes the place of ``HistoryBuffer`` while a checkpoint is read.

    Its own ``__setstate__`` would let the file replace the statistics of
    every buffer of the process.
    """

    def __setstate__(self, state: dict) -> None:
        names = ('max_length', '_log_history', '_count_history')
        self.__class__ = HistoryBuffer
        self.__dict__.update({name: state[name] for name in names})
        self._set_default_statistics()


class _SavedNamespace:
    """Takes the place of ``argparse.Namespace``; nothing of it is kept."""

    def __setstate__(self, state: object) -> None:
        """Forget the options of the program that wrote the file."""


def _not_looked_up(owner: object, name: str) -> None:
    """What a checkpoint gets for ``getattr``: nothing."""


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2 stores bytes; no other codec is let in."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'codec {encoding!r} is not allowed')
    return text.encode('latin1')


def _numpy_globals() -> dict[str, Callable]:
    """Full name in a file to object, for everything NumPy's arrays need."""
    array = np.zeros(0)
    reconstruct = array.__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    from_buffer = array.__reduce_ex__(5)[0]
    names: dict[str, Any] = {
        'numpy.ndarray': np.ndarray,
        'numpy.dtype': np.dtype,
        '_codecs.encode': _latin1,
    }
    # NumPy 2 renamed the modules; files of both ages are around.
    for core in ('numpy.core', 'numpy._core'):
        names[f'{core}.multiarray._reconstruct'] = reconstruct
        names[f'{core}.multiarray.scalar'] = scalar
        names[f'{core}.numeric._frombuffer'] = from_buffer
    return names


def _torch_globals() -> list[Callable | tuple[Callable, str]]:
    """What is added to PyTorch's own list, each with its name in the file."""
    allowed: list[Callable | tuple[Callable, str]] = [
        (value, name) for name, value in _numpy_globals().items()
    ]
    codes = np.typecodes['All'].replace('O', '')
    # The unpickler sets the state of a dtype only if its class is listed.
    for kind in {type(np.dtype(code)) for code in codes}:
        allowed.append((kind, f'{kind.__module__}.{kind.__name__}'))
    allowed.append((_SavedHistory,
                    'mmengine.logging.history_buffer.HistoryBuffer'))
    allowed.append((_SavedNamespace, 'argparse.Namespace'))
    allowed.append((_not_looked_up, 'builtins.getattr'))
    allowed.append((_not_looked_up, '__builtin__.getattr'))
    return allowed


class NumpyUnpickler(pickle.Unpickler):
    """Reads pickles of plain containers and NumPy arrays, nothing else.

    Args:
        file (BinaryIO): Opened at the start of the pickle.
    """

    _globals = {**_numpy_globals(), 'collections.OrderedDict': OrderedDict}

    def __init__(self, file: BinaryIO) -> None:
        # Python 2 wrote Detectron2's model zoo: its strings are bytes.
        super().__init__(file, encoding='latin1')

    def find_class(self, module: str, name: str) -> Any:
        """The object of that name, if it is on the list.

        Raises:
            pickle.UnpicklingError: If it is not.
        """
        full_name = f'{module}.{name}'
        if full_name not in self._globals:
            raise pickle.UnpicklingError(f'GLOBAL {full_name}')
        return self._globals[full_name]


def _read_safetensors(path: str, map_location: MapLocation) -> dict:
    """Tensors of a file that can hold nothing else."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(
            f'{path} needs the package that reads this format: pip install '
            'safetensors.') from error
    named = isinstance(map_location, (str, torch.device))
    try:
        return load_file(path, str(map_location) if named else 'cpu')
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _read(path: str, map_location: MapLocation) -> Any:
    if path.endswith('.safetensors'):
        return _read_safetensors(path, map_location)
    with open(path, 'rb') as file:
        if file.read(4) != b'PK\x03\x04':  # not the zip of torch.save
            file.seek(0)
            content = NumpyUnpickler(file).load()
            # The older format of torch.save starts with a pickled number.
            if not isinstance(content, int) or \
                    content != torch.serialization.MAGIC_NUMBER:
                return content
    with torch.serialization.safe_globals(_torch_globals()):
        return torch.load(path, map_location=map_location, weights_only=True)


def _refusal(path: str, error: Exception) -> str:
    """One sentence on why a file was not loaded."""
    text = str(error)
    match = re.search(r'GLOBAL ([\w.]+)', text)
    if match:
        return (f'{path} was not loaded: it refers to {match.group(1)}, which '
                'is neither weights nor a log and could run code; export it '
                'as a plain state dict with the program that wrote it.')
    if isinstance(error, pickle.UnpicklingError) and 'not allowed' in text:
        return (f'{path} was not loaded: it is not a plain checkpoint '
                f'({text}).')
    reason = text.strip().splitlines()[0] if text.strip() else 'no detail'
    return (f'{path} is not a readable checkpoint (damaged, or not written '
            'by torch.save, pickle or safetensors): '
            f'{type(error).__name__}: {reason}')


def _is_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) for key in value)


def _to_tensors(weights: Mapping, map_location: MapLocation) -> OrderedDict:
    """NumPy arrays to tensors, without the prefix of a parallel wrapper."""
    result: OrderedDict = OrderedDict()
    wrapped = bool(weights) and all(
        name.startswith('module.') for name in weights)
    for name, value in weights.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
            value = torch.from_numpy(value.copy())
            if isinstance(map_location, (str, torch.device)):
                value = value.to(map_location)
        result[name.removeprefix('module.') if wrapped else name] = value
    metadata = getattr(weights, '_metadata', None)
    if metadata is not None and not wrapped:
        result._metadata = metadata  # type: ignore[attr-defined]
    return result


def load_checkpoint_file(path: str | os.PathLike,
                         map_location: MapLocation = 'cpu') -> dict:
    """Load a checkpoint without executing anything in it.

    Reads what ``torch.save`` wrote (both formats), Detectron2's ``.pkl`` of
    NumPy arrays and ``.safetensors``. The weights may be the whole file or
    lie under ``state_dict`` or ``model``; a ``module.`` before every name is
    removed.

    Args:
        path (str | os.PathLike): Local file.
        map_location: As in ``torch.load``. Defaults to 'cpu'.

    Returns:
        dict: The weights, name to tensor, under ``state_dict``; whatever else
        the file holds (``optimizer``, ``meta``, ...) under its own key, but
        for the ``argparse.Namespace`` of the program that wrote it.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is damaged, holds no weights, or refers
            to anything but tensors, NumPy arrays, plain containers,
            mmengine's logs and ``argparse.Namespace``.
    """
    path = osp.expanduser(os.fspath(path))
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'There is no checkpoint at {path}; correct the path in the '
            'config or on the command line, or download the file first.')
    if path.endswith('.onnx'):
        raise CheckpointError(
            f'{path} is an exported network, which the demo, tools/test.py '
            "and benchmark.py with --backend onnx and VISInferencer with "
            "backend='onnx' take: use one of these, or give the checkpoint "
            'that it was exported from.')
    try:
        content = _read(path, map_location)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError,
            KeyError, IndexError, TypeError, AttributeError, OverflowError,
            OSError, MemoryError) as error:
        raise CheckpointError(_refusal(path, error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{path} holds a {type(content).__name__}, not a checkpoint: '
            'expected a dict of weights by name.')
    for key in [k for k, v in content.items()
                if isinstance(v, _SavedNamespace)]:
        del content[key]
    for key in ('state_dict', 'model'):
        if _is_weights(content.get(key)):
            weights = content[key]
            rest = {k: v for k, v in content.items() if k != key}
            break
    else:
        weights, rest = content, {}
    if not _is_weights(weights):
        raise CheckpointError(
            f'{path} holds no weights by name, under none of "state_dict", '
            '"model" and the top level.')
    return {**rest, 'state_dict': _to_tensors(weights, map_location)}


def _load_url(url: str,
              model_dir: str | None = None,
              map_location: MapLocation = None,
              progress: bool = True,
              check_hash: bool = False,
              file_name: str | None = None) -> dict:
    """mmengine's ``load_url``: downloads as before, loads as above."""
    folder = Path(model_dir or osp.join(torch.hub.get_dir(), 'checkpoints'))
    path = folder / (file_name or osp.basename(urlparse(url).path))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        match = torch.hub.HASH_REGEX.search(path.name) if check_hash else None
        sys.stderr.write(f'Downloading {url} to {path}\n')
        try:
            torch.hub.download_url_to_file(
                url, str(path), match.group(1) if match else None, progress)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f'{url} could not be downloaded ({error}): fetch it on a '
                f'machine that can, and put it at {path}.') from error
    return load_checkpoint_file(path, map_location)


def load_from_local(filename: str, map_location: MapLocation) -> dict:
    """mmengine's loader of local paths (its name appears in the log)."""
    return load_checkpoint_file(filename, map_location)


def install() -> None:
    """Let mmengine load every local or downloaded checkpoint through here."""
    mmengine_checkpoint.CheckpointLoader.register_scheme(
        prefixes='', loader=load_from_local, force=True)
    mmengine_checkpoint.load_url = _load_url
