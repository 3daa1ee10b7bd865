"""Resuming a training whose weights are sharded (FSDP).

Cause: mmengine 0.10 gives the arguments of FSDP's
``optim_state_dict_to_load`` in the order of PyTorch 2.0. Later releases take
the model first, so that a resume ends with "unhashable type: 'dict'".
"""
from typing import Any

from torch.distributed.fsdp import FullyShardedDataParallel


def _load_optim_state_dict(self: Any, state_dict: dict) -> None:
    """Load the state of the optimizer, of all ranks or of this one."""
    self.optim_wrapper.load_state_dict(
        FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer,
            optim_state_dict=state_dict))


def install() -> None:
    """Give the arguments by name."""
    from mmengine._strategy import FSDPStrategy

    FSDPStrategy.load_optim_state_dict = _load_optim_state_dict
