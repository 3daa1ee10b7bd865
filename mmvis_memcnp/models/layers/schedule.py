"""Phases of a training as a function of its iteration."""
from bisect import bisect_right
from collections.abc import Sequence


def phase(iteration: int, boundaries: Sequence[float]) -> int:
    """The phase of a training that an iteration is in.

    Args:
        iteration (int): Steps done before this one, from 0 on; a
            ``set_progress(iteration, max_iters)`` of a module gets it from
            the ``ProgressHook``.
        boundaries (Sequence[float]): Ascending: the first iteration of phase
            1, 2, ... For a share of the training give ``share * max_iters``.

    Returns:
        int: 0 before the first boundary, ``len(boundaries)`` from the last
        one on.

    Raises:
        ValueError: If the boundaries do not ascend.
    """
    if list(boundaries) != sorted(boundaries):
        raise ValueError(f'The boundaries {list(boundaries)} of the phases of '
                         'a training must ascend: sort them.')
    return bisect_right(boundaries, iteration)
