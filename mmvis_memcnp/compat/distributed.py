"""Distributed training on machines without a GPU.

Cause: mmengine's launchers call ``torch.cuda.set_device`` whatever the
backend, which a CPU build of PyTorch does not have, ask for ``nccl`` by
default, and wrap the model with GPU ``device_ids``, which
``DistributedDataParallel`` refuses for a model on the CPU.
"""
import functools
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import mmengine.dist.utils as dist_utils
import torch
from mmengine.model.wrappers import MMDistributedDataParallel

from .announce import announce


def _without_cuda(init: Callable) -> Callable:
    """Let one of mmengine's launchers run where there is no GPU."""

    @functools.wraps(init)
    def wrapped(backend: str, *args: Any, **kwargs: Any) -> None:
        if torch.cuda.is_available():
            return init(backend, *args, **kwargs)
        if backend == 'nccl':
            announce('Distributed: no GPU is available, so the processes '
                     'talk through gloo instead of nccl.')
            backend = 'gloo'
        # mmengine's slurm launcher divides by the number of GPUs otherwise.
        os.environ.setdefault('SLURM_LOCALID', '0')
        with mock.patch.object(torch.cuda, 'set_device', lambda device: None):
            return init(backend, *args, **kwargs)

    return wrapped


def _cpu_aware(init: Callable) -> Callable:
    """Drop GPU ids from the arguments of a wrapper around a CPU model."""

    @functools.wraps(init)
    def wrapped(self: Any, module: torch.nn.Module, *args: Any,
                **kwargs: Any) -> None:
        if all(p.device.type == 'cpu' for p in module.parameters()):
            kwargs['device_ids'] = None
        init(self, module, *args, **kwargs)

    return wrapped


def install() -> None:
    """Patch mmengine's launchers and its data-parallel wrapper."""
    for name in ('_init_dist_pytorch', '_init_dist_slurm', '_init_dist_mpi'):
        launcher = getattr(dist_utils, name)
        if not hasattr(launcher, '__wrapped__'):
            setattr(dist_utils, name, _without_cuda(launcher))
    wrapper: Any = MMDistributedDataParallel
    if not hasattr(wrapper.__init__, '__wrapped__'):
        wrapper.__init__ = _cpu_aware(wrapper.__init__)
