"""Faster inference with the same weights; a model that was changed is not
trained any more."""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import fuse_conv_bn
from mmcv.cnn.bricks.wrappers import Conv2d as MmcvConv2d
from mmcv.cnn.bricks.wrappers import Linear as MmcvLinear
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

#: What ``--optimize`` takes. ``'exact'``: results change by rounding alone.
#: ``'mixed'``: networks also run under autocast, in float16 on CUDA and in
#: bfloat16 on a CPU.
LEVELS = ('exact', 'mixed')


def optimize_model(model: nn.Module) -> None:
    """Change a model, in place, for inference alone.

    Batch norms are folded into convolutions, convolutions run channels-last,
    attention does not compute the weights that nobody reads, so that PyTorch
    may fuse it, and on a CPU matrix products and convolutions of one point
    are oneDNN's, whatever PyTorch would choose.

    Args:
        model (nn.Module): In evaluation mode, on its device, with its
            weights.
    """
    fuse_conv_bn(model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(
                memory_format=torch.channels_last)
        if isinstance(module, nn.MultiheadAttention):
            module.register_forward_pre_hook(_without_weights,
                                             with_kwargs=True)
        elif type(module) in (nn.Linear, MmcvLinear):
            module.__class__ = _Linear
        elif type(module) in (nn.Conv2d, MmcvConv2d) and \
                module.padding_mode == 'zeros' and \
                not isinstance(module.padding, str):
            module.__class__ = _Conv2d


def compile_model(model: nn.Module, backend: str = 'inductor') -> None:
    """Compile the forward pass of backbone and neck, for any frame size.

    What follows them asks for sizes as numbers, at which a graph breaks.

    Args:
        model (VIS): With ``parts()``, on its device.
        backend (str): Of ``torch.compile``. Defaults to ``'inductor'``, which
            needs a C++ compiler.
    """
    parts = model.parts()  # type: ignore[operator]
    for name in ('backbone', 'neck'):
        if name in parts:
            parts[name].compile(dynamic=True, backend=backend)


def precision_of(level: str | None,
                 device: torch.device) -> AbstractContextManager:
    """What the network runs under at a level of :data:`LEVELS`.

    Args:
        level (str, optional): None: nothing is optimized.
        device (torch.device): Of the model.
    """
    if level != 'mixed':
        return nullcontext()
    dtype = torch.bfloat16 if device.type == 'cpu' else torch.float16
    return torch.autocast(device.type, dtype)


@HOOKS.register_module()
class OptimizeHook(Hook):
    """Optimize a model before it is tested; see :func:`optimize_model`.

    For programs that only test. The loop's ``fp16`` says whether it runs in
    mixed precision.
    """

    def before_test(self, runner: Runner) -> None:
        """The weights are loaded: change the model."""
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        optimize_model(model.eval())


class _Linear(nn.Linear):
    """By oneDNN, which some processors do twice as fast as PyTorch's own."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if not _takes_onednn(input) or input.numel() == 0:
            return F.linear(input, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(
            input, self.weight, self.bias, 'none', [], '')


class _Conv2d(nn.Conv2d):
    """Channels-last, on a CPU always by oneDNN."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if not _takes_onednn(input) or input.numel() == 0 or input.dim() != 4:
            return super().forward(input)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            input.contiguous(memory_format=torch.channels_last), self.weight,
            self.bias, self.padding, self.stride, self.dilation, self.groups)


def _takes_onednn(x: Tensor) -> bool:
    return (x.device.type == 'cpu' and x.dtype == torch.float32
            and torch.backends.mkldnn.is_available()
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled('cpu'))


def _without_weights(module: nn.Module, args: tuple,
                     kwargs: dict) -> tuple[tuple, dict]:
    return args, {**kwargs, 'need_weights': False}
