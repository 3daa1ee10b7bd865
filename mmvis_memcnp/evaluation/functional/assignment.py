"""Which of two sets belong together."""
import numpy as np


def assign(values: np.ndarray,
           maximize: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with the smallest sum of values; as many as there can be.

    Args:
        values: float (n, m).
        maximize: the largest sum instead.

    Returns:
        rows and columns, int (min(n, m),).
    """
    if not values.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # Here, because it takes a third of a second to load.
    from scipy.optimize import linear_sum_assignment
    return linear_sum_assignment(values, maximize)
