"""Tensors that say they are on a GPU, on a machine that has none.

They compute on the CPU, but an operation that PyTorch refuses on a GPU is
refused here too: tensors of two devices, NumPy without ``.cpu()``. ``is_cuda``
is true, so that branches for CUDA run. What this cannot show is CUDA's own:
kernels, precision, autocast, memory, speed.

    with pretend_cuda():
        model.to(DEVICE)
        model(inputs.to(DEVICE), samples, mode='loss')
"""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Union
from unittest import mock

import torch
from mmengine.structures import instance_data
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

#: With its number: PyTorch would ask a driver for that of ``cuda``.
DEVICE = 'cuda:0'

#: Take tensors of two devices.
_MIXED = {'copy_', '_to_copy'}
#: Take positions from the CPU, for a tensor on the GPU.
_INDEXED = {'index', '_unsafe_index', 'index_put', 'index_put_',
            '_index_put_impl_', '_unsafe_index_put'}


class PretendTensor(torch.Tensor):
    """A tensor on the pretended GPU.

    To PyTorch's own code it is a ``meta`` tensor, which needs no driver.

    Args:
        real (Tensor): Its values, on the CPU.
    """

    device = property(lambda self: torch.device(DEVICE))
    is_cuda = property(lambda self: True)
    is_cpu = is_meta = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, real: torch.Tensor) -> 'PretendTensor':
        made = torch.Tensor._make_wrapper_subclass(
            cls, real.shape, strides=real.stride(),
            storage_offset=real.storage_offset(), dtype=real.dtype,
            layout=real.layout, device='meta')
        made.values_ = real.detach()
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.values_.tolist()

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None,
                   device: Any = None) -> torch.Tensor:
        made = torch.tensor(data, dtype=dtype or self.dtype)
        return made.to(device or self.device)

    def __getitem__(self, index: Any) -> torch.Tensor:
        return super().__getitem__(_positions(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_positions(index), value)

    def __deepcopy__(self, memo: dict) -> torch.Tensor:
        copy = memo[id(self)] = self.detach().clone().requires_grad_(
            self.requires_grad)
        return copy

    def __repr__(self) -> str:
        return f'{self.values_}, on {DEVICE}'


def _positions(index: Any) -> Any:
    """Lists as tensors; PyTorch would make them, without values, ``meta``."""
    if isinstance(index, tuple):
        return tuple(torch.tensor(x) if isinstance(x, list) else x
                     for x in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _pretends(x: Any) -> bool:
    return isinstance(x, PretendTensor)


def _check(func: Any, args: tuple, kwargs: dict) -> bool:
    """Whether an operation is the GPU's; raises if it mixes devices."""
    tensors = [x for x in tree_leaves((args, kwargs))
               if isinstance(x, torch.Tensor)]
    assert all(_pretends(x) or not x.is_meta for x in tensors), func
    if not any(map(_pretends, tensors)):
        return False
    name = func.overloadpacket.__name__
    if name in _INDEXED:  # the positions may lie anywhere
        tensors = [args[0], *args[2:3]]
    # Numbers, which have no dimension, go anywhere.
    if name not in _MIXED and not all(
            _pretends(x) or not x.dim() for x in tensors):
        raise RuntimeError(f'{func}: expected all tensors to be on the same '
                           'device, found cuda:0 and cpu')
    return True


def _run(func: Any, args: tuple, kwargs: dict) -> Any:
    """An operation, on the CPU, with its result where it belongs."""
    on_gpu = _check(func, args, kwargs)
    device = kwargs.get('device')
    if device is not None:
        on_gpu = torch.device(device).type in ('cuda', 'meta')
        kwargs = dict(kwargs, device=torch.device('cpu'))
    target = kwargs.get('out', args[0] if args else None)
    found = func(*tree_map(_real, args), **tree_map(_real, kwargs))
    if not on_gpu:
        return found
    if func._schema.is_mutable:
        if 'out' in kwargs or func._schema.name.endswith('_'):
            return target
    return tree_map(_pretend, found)


def _real(x: Any) -> Any:
    return x.values_ if _pretends(x) else x


def _pretend(x: Any) -> Any:
    real = isinstance(x, torch.Tensor) and not _pretends(x)
    return PretendTensor(x) if real else x


class _Operations(TorchDispatchMode):
    """Tensors that are made on the GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _FromData(TorchFunctionMode):
    """Those made of Python's numbers, which are no operation."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor):
            device = kwargs.pop('device', None)
            made = func(*args, **kwargs)
            return made if device is None else made.to(device)
        return func(*args, **kwargs)


@contextmanager
def pretend_cuda() -> Iterator[None]:
    """In this block ``DEVICE`` can be used; see above."""
    # The types of tensor that mmengine lets choose rows.
    rows = Union[instance_data.IndexType, PretendTensor]  # noqa: UP007
    with mock.patch('torch.cuda._lazy_init', lambda: None), \
            mock.patch.object(instance_data, 'IndexType', rows), \
            _Operations(), _FromData():
        yield
