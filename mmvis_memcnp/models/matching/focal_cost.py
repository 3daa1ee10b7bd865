"""The class cost that the assigners of query decoders share."""
from torch import Tensor


def focal_cost(probs: Tensor, labels: Tensor, alpha: float,
               gamma: float) -> Tensor:
    """What a query would save by a label, by the focal loss (DETR's costs).

    Args:
        probs: (..., Q, K) class probabilities, float32.
        labels: (..., G) int64; the leading sides may be fewer, or 1.
        alpha: weight of a positive.
        gamma: exponent of the focal loss.

    Returns:
        (..., Q, G) loss as a positive less loss as a negative.
    """
    shape = (*probs.shape[:-1], labels.shape[-1])
    p = probs.gather(-1, labels[..., None, :].expand(shape))
    positive = alpha * (1 - p)**gamma * -(p + 1e-8).log()
    negative = (1 - alpha) * p**gamma * -(1 - p + 1e-8).log()
    return positive - negative
