"""Two processes that talk over gloo, as two devices of a training would."""
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tests.fakes.programs import START


def on_two_ranks(work: Callable[..., Any], folder: Path, *args: Any) -> list:
    """Run ``work(rank, *args)`` on both ranks.

    Args:
        work (Callable): A function of a module; what it returns must be
            tensors in plain containers.
        folder (Path): An empty folder.
        args: Given to both.

    Returns:
        list: What rank 0 and rank 1 returned.
    """
    torch.multiprocessing.start_processes(
        _rank, (work, str(folder), args), nprocs=2, start_method=START)
    return [torch.load(folder / f'{rank}.pt', weights_only=True)
            for rank in range(2)]


def _rank(rank: int, work: Callable[..., Any], folder: str,
          args: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2,
        timeout=timedelta(seconds=120))
    torch.save(work(rank, *args), f'{folder}/{rank}.pt')
    dist.destroy_process_group()
