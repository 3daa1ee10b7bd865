"""What the numbers of a config must be."""
from __future__ import annotations


def check_counts(**counts: object) -> None:
    """Refuse what is no number of things.

    Args:
        counts (object): Value by the name of the argument.

    Raises:
        ValueError: If one is not a whole number of at least 1.
    """
    for name, value in counts.items():
        if type(value) is not int or value < 1:
            raise ValueError(f'{name} must be a whole number of at least 1, '
                             f'got {value!r}.')
