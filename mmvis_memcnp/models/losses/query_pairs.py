"""Pairs of queries and objects, and losses that are kept by layer."""
from collections.abc import Iterable

from torch import Tensor

from ..matching.pairs import QueryPairs

__all__ = ['QueryPairs', 'name_by_layer', 'sum_by_layer']


def sum_by_layer(values: Tensor, layer: Tensor, num_layers: int) -> Tensor:
    """Sums (L,) of values (P,) whose layers are (P,) int64."""
    return values.new_zeros(num_layers).index_add(0, layer, values)


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
