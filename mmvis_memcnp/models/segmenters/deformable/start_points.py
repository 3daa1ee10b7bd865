"""Where the queries of a decoder look first."""
import torch
from torch import Tensor, nn


def start_points(layer: nn.Linear, query: Tensor,
                 moved_from: Tensor | float = 0.) -> Tensor:
    """Reference points of queries, in single precision under autocast too.

    Half precision cannot tell neighbouring pixels of a large frame apart.

    Args:
        layer (nn.Linear): C to 2.
        query (Tensor): Shape (..., C), content or position of the queries.
        moved_from (Tensor | float): Shape (..., 2) float32, logits of the
            points that the layer moves. Defaults to 0, the middle.

    Returns:
        Tensor: Shape (..., 2), x and y as fractions in (0, 1).
    """
    with torch.autocast(query.device.type, enabled=False):
        moved = layer(query.to(layer.weight.dtype))
        return (moved + moved_from).sigmoid()
