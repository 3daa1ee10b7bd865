"""Says once which implementation runs."""
import functools
import logging
import multiprocessing
import os

from mmengine.dist import get_rank
from mmengine.logging import print_log


@functools.cache
def announce(message: str) -> None:
    """Log ``message`` at INFO through mmengine's current logger.

    Each message is logged once a process, and neither by other ranks than 0
    nor by worker processes (data loaders), which would only repeat it.

    Args:
        message (str): One line.
    """
    # Before the process group exists, the launcher's variables tell the rank.
    rank = get_rank() or int(
        os.environ.get('RANK', os.environ.get('SLURM_PROCID', 0)))
    if rank == 0 and multiprocessing.parent_process() is None:
        print_log(message, logger='current', level=logging.INFO)
