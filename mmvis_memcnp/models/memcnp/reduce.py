"""Sums over the ranks of a distributed run, a no-op without one."""
import torch.distributed as dist
from torch import Tensor


def is_distributed() -> bool:
    """Whether more than one rank takes part."""
    return (dist.is_available() and dist.is_initialized()
            and dist.get_world_size() > 1)


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum of ``x`` over all ranks, on every rank."""
    if is_distributed():
        x = x.contiguous()
        dist.all_reduce(x)
    return x


def broadcast_from_first(x: Tensor) -> None:
    """Overwrite ``x`` on every rank by the first rank's values."""
    if is_distributed():
        dist.broadcast(x, src=0)
