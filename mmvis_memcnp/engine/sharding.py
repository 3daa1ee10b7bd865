"""What a training with sharded weights (FSDP) needs beside mmengine."""
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from mmengine.registry import FUNCTIONS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class ShardedOptimWrapper(OptimWrapper):
    """Clips the gradients of all ranks by one norm.

    A rank has a share of each gradient; mmengine's own wrapper would clip by
    the norm of that share. Its arguments are the same; ``clip_grad`` takes
    ``max_norm`` and ``norm_type``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """See mmengine; the model is a ``FullyShardedDataParallel``."""
        self._model: Any = model
        with super().optim_context(model):
            yield

    def _clip_grad(self) -> None:
        norm = self._model.clip_grad_norm_(**self.clip_grad_kwargs)
        self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))


@FUNCTIONS.register_module()
def layers_of(module: nn.Module, recurse: bool, nonwrapped_numel: int,
              classes: Collection[str] = ()) -> bool:
    """Which modules are gathered one at a time: an ``auto_wrap_policy``.

    Args:
        module (nn.Module): Of the model.
        recurse (bool): Whether the question is if to look into it.
        nonwrapped_numel (int): Not used.
        classes (Collection[str]): Names of their classes, such as
            ``('SwinBlock', )``. What they hold must be used in their
            ``forward`` alone. More of them need less memory and more talk
            between ranks.
    """
    return recurse or type(module).__name__ in classes
