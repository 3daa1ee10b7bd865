"""Box distribution of MemCNP: a diagonal Normal over the four box edges."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA_MIN = 0.1
SIGMA_SCALE = 0.9
#: What standard deviations may be measured in.
SIGMA_UNITS = ('object', 'image')
#: Half a side of an object counts as at least this fraction of the image: the
#: likelihood of a box that is cut off to a line would outweigh all others.
MIN_HALF_SIDE = 0.02


def split_distribution(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Split a box branch's eight outputs into mean and standard deviation.

    Args:
        raw (Tensor): Shape (..., 8): four raw means in the host's own
            parametrisation, then four raw uncertainties.

    Returns:
        tuple[Tensor, Tensor]: Raw means (..., 4), unchanged, and
        ``sigma = 0.1 + 0.9 * softplus(.)`` (..., 4), larger than 0.1. Sigma
        is computed in float32 at least: in half precision its gradient
        vanishes for raw values that training does reach.
    """
    if raw.size(-1) != 8:
        raise ValueError('A box distribution needs 8 channels (4 means, 4 '
                         f'uncertainties), got {raw.size(-1)}.')
    mu_raw, sigma_raw = raw.split(4, dim=-1)
    return mu_raw, SIGMA_MIN + SIGMA_SCALE * F.softplus(
        at_least_float32(sigma_raw))


def distances_to_boxes(points: Tensor, ltrb: Tensor,
                       limits: Tensor) -> Tensor:
    """Boxes from points and their distances to the four box edges.

    Args:
        points (Tensor): Shape (..., 2), x and y.
        ltrb (Tensor): Shape (..., 4), distances to the left, top, right and
            bottom edge in the same units; broadcast against ``points``.
        limits (Tensor): Shape (4,), width and height of the padded network
            input in these units, twice.

    Returns:
        Tensor: Shape (..., 4), xyxy, each clamped to [0, its limit].
    """
    left_top, right_bottom = ltrb.split(2, dim=-1)
    boxes = torch.cat((points - left_top, points + right_bottom), dim=-1)
    return boxes.clamp(min=0).minimum(limits)


def half_sides(boxes: Tensor) -> Tensor:
    """Half the width and height of boxes, twice: the object's unit.

    Args:
        boxes (Tensor): Shape (..., 4), xyxy as fractions of the image.

    Returns:
        Tensor: Shape (..., 4), at least ``MIN_HALF_SIDE``.
    """
    half = (boxes[..., 2:] - boxes[..., :2]) / 2
    return torch.cat((half, half), dim=-1).clamp(min=MIN_HALF_SIDE)


def in_object_unit(boxes: Tensor, objects: Tensor) -> Tensor:
    """Boxes in coordinates in which an object's own box is [-1, 1]^2.

    Args:
        boxes (Tensor): Shape (..., 4), xyxy as fractions of the image.
        objects (Tensor): Shape (..., 4), the same.

    Returns:
        Tensor: Shape (..., 4).
    """
    centre = (objects[..., :2] + objects[..., 2:]) / 2
    return (boxes - torch.cat((centre, centre), -1)) / half_sides(objects)


def log_prob(boxes: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Log-density of boxes under a 4-D diagonal Normal.

    Args:
        boxes (Tensor): Shape (..., 4).
        mu (Tensor): Shape (..., 4), means.
        sigma (Tensor): Shape (..., 4), standard deviations (> 0).

    Returns:
        Tensor: Shape (...).
    """
    normalised = (boxes - mu) / sigma
    return -(0.5 * normalised.square() + sigma.log()).sum(-1) - 2 * math.log(
        2 * math.pi)


def at_least_float32(x: Tensor) -> Tensor:
    """Half-precision tensors as float32, all others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
