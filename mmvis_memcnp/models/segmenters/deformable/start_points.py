"""Where the queries of a decoder look first."""
import torch
from torch import Tensor, nn


def start_points(layer: nn.Linear, query: Tensor) -> Tensor:
    """Reference points of queries, in single precision under autocast too.

    Half precision cannot tell neighbouring pixels of a large frame apart.

    Args:
        layer (nn.Linear): C to 2.
        query (Tensor): Shape (..., C), content or position of the queries.

    Returns:
        Tensor: Shape (..., 2), x and y as fractions in (0, 1).
    """
    with torch.autocast(query.device.type, enabled=False):
        return layer(query.to(layer.weight.dtype)).sigmoid()
