"""Masks at sampled points."""
import torch
from mmcv.ops import point_sample
from mmdet.models.utils import get_uncertain_point_coords_with_randomness
from torch import Tensor

__all__ = ['point_sample', 'uncertain_points']


@torch.no_grad()
def uncertain_points(logits: Tensor,
                     num_points: int,
                     oversample_ratio: float = 3.,
                     importance_ratio: float = 0.75) -> Tensor:
    """Random points, most of them where a mask is undecided.

    Source: Kirillov et al., PointRend, CVPR 2020, section 3.1.

    Args:
        logits: (P, h, w) float32 mask logits.
        num_points: N, points a mask.
        oversample_ratio: at least 1; the more, the nearer to the contour are
            the undecided points, which are chosen among as many times N.
        importance_ratio: in [0, 1], share of undecided points among the N;
            the others are anywhere.

    Returns:
        (P, N, 2) x, y as fractions of the map.
    """
    return get_uncertain_point_coords_with_randomness(
        logits[:, None], None, num_points, oversample_ratio, importance_ratio)
