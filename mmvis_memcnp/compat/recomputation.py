"""Activation checkpointing of mmdet's backbones that works on several ranks.

Cause: mmdet 3.3's ``with_cp`` calls ``torch.utils.checkpoint.checkpoint``
without ``use_reentrant``. PyTorch then takes the reentrant form, with a
warning, and announces to refuse the call. That form cannot be under
``DistributedDataParallel`` with ``find_unused_parameters``: it "expected to
mark a variable ready only once".
"""
import functools
import types

from torch.utils.checkpoint import checkpoint


def install() -> None:
    """Give the backbones the form that PyTorch recommends."""
    from mmdet.models.backbones import resnet, swin
    named = types.SimpleNamespace(
        checkpoint=functools.partial(checkpoint, use_reentrant=False))
    for module in (resnet, swin):
        if hasattr(module, 'cp'):
            module.cp = named
