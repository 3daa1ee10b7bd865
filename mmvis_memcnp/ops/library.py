"""The compiled operators, if there are any."""
import functools
import os
from pathlib import Path

import torch
from torch import Tensor

_FOLDER = Path(__file__).parent


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    _, rois, *c = inputs
    ctx.save_for_backward(rois)
    ctx.c = c[0] if c else 1


def _crop_split_backward(ctx, grad: Tensor) -> tuple:
    rois, = ctx.saved_tensors
    return torch.ops.mmvis.crop_split_backward(grad, rois, ctx.c), None, None


def _crop_split_gt_backward(ctx, grad: Tensor) -> tuple:
    rois, = ctx.saved_tensors
    return torch.ops.mmvis.crop_split_gt(grad, rois), None


def _register() -> None:
    """Shapes (for tracing) and derivatives of the loaded operators."""
    library = torch.library
    library.register_fake('mmvis::crop_split')(
        lambda data, rois, c: data.new_empty(data.shape[1:]))
    library.register_fake('mmvis::crop_split_backward')(
        lambda grad, rois, c: grad.new_empty((c * c, *grad.shape)))
    library.register_fake('mmvis::crop_split_gt')(
        lambda data, rois: torch.empty_like(data))
    library.register_autograd(
        'mmvis::crop_split',
        _crop_split_backward,
        setup_context=_setup_context)
    library.register_autograd(
        'mmvis::crop_split_gt',
        _crop_split_gt_backward,
        setup_context=_setup_context)


@functools.cache
def load() -> str:
    """Load the compiled operators, once.

    Set the environment variable ``MMVIS_OPS=torch`` to leave them out.

    Returns:
        str: Empty if they are loaded, else why not.
    """
    if os.environ.get('MMVIS_OPS') == 'torch':
        return 'MMVIS_OPS=torch'
    files = sorted(_FOLDER.glob('_C*.so')) + sorted(_FOLDER.glob('_C*.pyd'))
    if not files:
        return 'not built'
    try:
        torch.ops.load_library(str(files[0]))
    except OSError as error:  # built for another PyTorch
        return f'{files[0].name} cannot be loaded: {error}'
    _register()
    return ''


@functools.cache
def compiled_for(device_type: str) -> bool:
    """Whether the compiled operators run on this kind of device.

    Args:
        device_type (str): ``torch.device.type``.
    """
    key = {'cpu': 'CPU', 'cuda': 'CUDA'}.get(device_type)
    return key is not None and not load() and \
        torch._C._dispatch_has_kernel_for_dispatch_key(
            'mmvis::crop_split', key)
