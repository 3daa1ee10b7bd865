"""Faster inference with the same weights; a model that was changed is not
trained any more."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import product
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
_LINEAR = (nn.Linear, MmcvLinear)
#: Rows of attention at a time, so that they stay in the cache.
_ROWS = 512


def optimize_model(model: nn.Module) -> None:
    """Change a model, in place, for inference alone.

    Batch norms are folded into convolutions, convolutions run channels-last,
    attention does not compute the weights that nobody reads, so that PyTorch
    may fuse it, and on a CPU matrix products, those of a ViT's attention too,
    and convolutions of one point are oneDNN's, whatever PyTorch would choose;
    a GELU behind a linear layer is part of it.

    Args:
        model (nn.Module): In evaluation mode, on its device, with its
            weights.
    """
    fuse_conv_bn(model)
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            _fuse_linear_gelu(module)
        if hasattr(module, 'dot_product_attention'):
            setattr(module, 'dot_product_attention', _attend)  # noqa: B010
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(
                memory_format=torch.channels_last)
        if isinstance(module, nn.MultiheadAttention):
            module.register_forward_pre_hook(_without_weights,
                                             with_kwargs=True)
        elif type(module) in _LINEAR:
            module.__class__ = _Linear
        elif type(module) in (nn.Conv2d, MmcvConv2d) and \
                module.padding_mode == 'zeros' and \
                not isinstance(module.padding, str):
            module.__class__ = _Conv2d


def compile_model(model: nn.Module,
                  backend: str | Callable = 'inductor') -> None:
    """Compile the forward pass of backbone and neck, for any frame size; of a
    plain ViT its blocks.

    What follows them asks for sizes as numbers, at which a graph breaks.

    Args:
        model (VIS): With ``parts()``, on its device.
        backend (str | Callable): Of ``torch.compile``. Defaults to
            ``'inductor'``, which needs a C++ compiler.
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
        return _product(input, self.weight, self.bias)


class _LinearGELU(nn.Linear):
    """A linear layer and the GELU behind it."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if not _takes_onednn(input) or input.numel() == 0:
            return F.gelu(F.linear(input, self.weight, self.bias))
        return _product(input, self.weight, self.bias, 'gelu')


class _Conv2d(nn.Conv2d):
    """Channels-last, on a CPU always by oneDNN."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if not _takes_onednn(input) or input.numel() == 0 or input.dim() != 4:
            return super().forward(input)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            input.contiguous(memory_format=torch.channels_last), self.weight,
            self.bias, self.padding, self.stride, self.dilation, self.groups)


def _fuse_linear_gelu(layers: nn.Sequential) -> None:
    names, parts = list(layers._modules), list(layers)
    for one, name, two in zip(parts, names[1:], parts[1:], strict=False):
        if type(one) in _LINEAR and type(two) is nn.GELU and \
                two.approximate == 'none':
            one.__class__ = _LinearGELU
            layers._modules[name] = nn.Identity()


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None,
             then: str = 'none') -> Tensor:
    """``x @ weight.T + bias`` by oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, then, [],
                                              'none')


def _attend(q: Tensor, k: Tensor, v: Tensor,
            seen: Tensor | None = None) -> Tensor:
    """``F.scaled_dot_product_attention`` by oneDNN, in single precision, one
    head after the other: PyTorch's own multiplies at half the speed, and is no
    faster in bfloat16.

    Args:
        q (Tensor): Shape (B, heads, N, c); so are k and v.
        seen (Tensor, optional): Left to PyTorch, as are GPUs and gradients.
    """
    if seen is not None or q.numel() == 0 or not _onednn_runs(q) or \
            q.dtype not in (torch.float32, torch.bfloat16):
        return F.scaled_dot_product_attention(q, k, v, seen)
    batch, heads, count, size = q.shape
    # The layer behind joins the heads: no copy.
    out = q.new_empty(batch, count, heads, size).transpose(1, 2)
    q = q.float() * size**-0.5
    for at in product(range(batch), range(heads)):
        keys, values = k[at].float().contiguous(), v[at].float().T.contiguous()
        for own, rows in zip(out[at].split(_ROWS), q[at].split(_ROWS),
                             strict=True):
            weights = _product(rows.contiguous(), keys)
            own.copy_(_product(
                torch.softmax(weights, -1, out=weights), values))
    return out


def _takes_onednn(x: Tensor) -> bool:
    return (x.dtype == torch.float32 and _onednn_runs(x)
            and not torch.is_autocast_enabled('cpu'))


def _onednn_runs(x: Tensor) -> bool:
    # A compiler chooses for itself, and inductor has no form of this call.
    return (x.device.type == 'cpu' and not torch.compiler.is_compiling()
            and torch.backends.mkldnn.is_available()
            and not torch.is_grad_enabled())


def _without_weights(module: nn.Module, args: tuple,
                     kwargs: dict) -> tuple[tuple, dict]:
    return args, {**kwargs, 'need_weights': False}
