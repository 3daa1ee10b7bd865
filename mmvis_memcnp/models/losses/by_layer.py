"""The names of losses that every decoder layer has."""
from collections.abc import Iterable

from torch import Tensor


def name_by_layer(name: str, values: Iterable[Tensor]) -> dict[str, Tensor]:
    """Losses of L layers under the names that are logged.

    Args:
        name: of the last layer.
        values: L scalars, or (L,).

    Returns:
        ``d<l>.<name>`` of the other layers, from the first on, and ``name``.
    """
    *others, last = values
    return {**{f'd{i}.{name}': v for i, v in enumerate(others)}, name: last}
