"""Runs the systems' ``compute`` on a device, without a word in them.

They read arrays with ``torch.from_numpy``, build models and compare with
NumPy. In the block of :func:`on_device` their arrays and models lie on the
device, and their tensors come back from it. What the package itself creates is
left alone: there, a tensor that lies on the wrong device is a defect.
"""
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmdet.registry import MODELS, TASK_UTILS
from torch import nn
from torch.overrides import TorchFunctionMode

_HERE = str(Path(__file__).resolve().parent)
#: Files between a caller and this one.
_BETWEEN = {__file__, torch.overrides.__file__, torch._tensor.__file__}
#: Make a tensor of nothing that has a device.
_FACTORIES = {
    torch.arange, torch.as_tensor, torch.empty, torch.eye, torch.full,
    torch.linspace, torch.ones, torch.rand, torch.randn, torch.tensor,
    torch.zeros}


class _Runners(TorchFunctionMode):
    """What functions of PyTorch do that files of this folder call.

    Args:
        device (torch.device): Where their tensors lie.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if not _called_from_here():
            return func(*args, **kwargs)
        if func in (torch.Tensor.numpy, torch.Tensor.__array__):
            return func(args[0].cpu(), *args[1:], **kwargs)
        made = func(*args, **kwargs)
        if func in _FACTORIES and kwargs.get('device') is None:
            return made.to(self.device)
        return made


def _called_from_here() -> bool:
    """Whether a file of this folder, other than this one, calls."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename in _BETWEEN:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_HERE)


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """In this block, what the systems compute is computed on a device.

    Args:
        name (str): ``'cpu'``, ``'cuda:0'``.
    """
    device = torch.device(name)
    load, from_numpy = nn.Module.load_state_dict, torch.from_numpy

    def read_there(array: Any) -> torch.Tensor:
        read = from_numpy(array)
        return read.to(device) if _called_from_here() else read

    def load_there(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return load(module.to(device), *args, **kwargs)

    def there(registry: Any) -> Any:
        build = registry.build

        def built(*args: Any, **kwargs: Any) -> Any:
            made = build(*args, **kwargs)
            return made.to(device) if isinstance(made, nn.Module) else made

        return mock.patch.object(registry, 'build', built)

    # Not among the functions that a mode sees.
    with mock.patch('torch.from_numpy', read_there), \
            mock.patch.object(nn.Module, 'load_state_dict', load_there), \
            there(MODELS), there(TASK_UTILS), _Runners(device):
        yield

