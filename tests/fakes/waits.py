"""Counts how often a program would wait for a GPU.

A wait is an operation whose outcome the CPU must see before it can go on: a
copy to the CPU, a number taken out of a tensor, a comparison with True or
False as its result, positions chosen by a mask. Counted on the pretended GPU:

    with pretend_cuda(), counted_waits() as waits:
        ...
    waits  # where each wait was
"""
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .pretend_cuda import PretendTensor

#: Their results have a size, or are a value, that the data decide.
_ALWAYS = {'nonzero', '_local_scalar_dense', 'equal', 'is_nonzero',
           'masked_select', '_unique2', 'unique_dim', 'unique_consecutive',
           'repeat_interleave', 'bincount'}
#: Take masks for positions.
_INDEXED = {'index', 'index_put', 'index_put_', '_index_put_impl_'}


def _waits(name: str, args: tuple, kwargs: dict) -> bool:
    on_gpu = [isinstance(x, PretendTensor) for x in args[:2]]
    if name in _ALWAYS:
        return any(on_gpu)
    if name in _INDEXED:
        return any(isinstance(x, PretendTensor) and x.dtype == torch.bool
                   for x in tree_leaves(args[1]))
    if name == '_to_copy':
        device = kwargs.get('device')
        return on_gpu[0] and device is not None and (
            torch.device(device).type == 'cpu')
    return name == 'copy_' and not on_gpu[0] and any(on_gpu)


def _place() -> str:
    """The line of the package that asked."""
    lines = [f for f in traceback.extract_stack()
             if '/mmvis_memcnp/' in f.filename]
    return f'{lines[-1].filename}:{lines[-1].lineno}' if lines else '?'


class _Counter(TorchDispatchMode):

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if _waits(name, args, kwargs):
            self.found.append(f'{name} at {_place()}')
        return func(*args, **kwargs)


@contextmanager
def counted_waits() -> Iterator[list[str]]:
    """The waits of this block; inside of ``pretend_cuda``."""
    found: list[str] = []

    def tolist(self: PretendTensor) -> Any:
        found.append(f'tolist at {_place()}')
        return self.values_.tolist()

    with mock.patch.object(PretendTensor, 'tolist', tolist), _Counter(found):
        yield found
