"""What the numbers of a config must be, and which parts it must have."""
from __future__ import annotations

from typing import TypeVar

Part = TypeVar('Part')


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


def needed(part: Part | None, name: str) -> Part:
    """A part that only training needs.

    Args:
        part: What was built of the config, or None.
        name (str): Of the key in the config.

    Raises:
        ValueError: If the config has none.
    """
    if part is None:
        raise ValueError(
            f'Training needs a {name}: set {name} in the config.')
    return part
