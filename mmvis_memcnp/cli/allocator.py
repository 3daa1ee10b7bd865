"""What the C library does with memory that a training step frees."""
from __future__ import annotations

import ctypes

# Names of mallopt(3) and their values.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed for what is asked for next.

    By default it gives large blocks back to the system, and the next step
    gets the same pages again, each at the cost of a fault and of filling it
    with zeros. The process never shrinks below what it needed at most; that
    maximum stays about what it was. Concerns the memory of the host alone.

    Returns:
        bool: Whether the C library has the setting; others than glibc are
        left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))
