"""Mask assembly on the half-resolution canvas."""
import torch
import torch.nn.functional as F
from torch import Tensor


def prototype_logits(basis: Tensor, coefficients: Tensor,
                     image_index: Tensor) -> Tensor:
    """Products of mask bases with the coefficients of instances.

    Args:
        basis: (B, M, H, W) mask basis of each image.
        coefficients: (P, K, M), K sets of coefficients for each instance.
        image_index: (P,) int64 image of each instance, ascending.

    Returns:
        (P, K, H, W) logits.
    """
    batch, channels, height, width = basis.shape
    total, sets, _ = coefficients.shape
    counts = image_index.new_zeros(batch).index_add_(
        0, image_index, torch.ones_like(image_index))
    slot = torch.arange(
        total, device=basis.device) - (counts.cumsum(0) - counts)[image_index]
    # One product for all images needs the same number of instances in each.
    most = total if batch == 1 else int(counts.max())
    padded = basis.new_zeros(batch, most, sets, channels)
    padded[image_index, slot] = coefficients.to(padded.dtype)
    logits = torch.bmm(padded.flatten(1, 2), basis.flatten(2))
    return logits.view(batch, most, sets, height, width)[image_index, slot]


def half_resolution(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Ground-truth masks on the stride-2 canvas of the mask basis.

    Args:
        masks: (..., H, W) bool on the padded input.
        size: (h, w) of the canvas, H / 2 and W / 2 for even sides.

    Returns:
        (..., h, w) bool.
    """
    lead = masks.shape[:-2]
    small = F.interpolate(
        masks.reshape(1, -1, *masks.shape[-2:]).float(),
        size=size,
        mode='bilinear',
        align_corners=False)
    return (small > 0.5).view(*lead, *size)


def centres(boxes: Tensor) -> Tensor:
    """Centres (..., 2) of boxes (..., 4), without gradient."""
    return (boxes[..., :2] + boxes[..., 2:]).detach() / 2


def vectors_at(feature: Tensor,
               centres: Tensor,
               image_index: Tensor,
               stride: int,
               rounding: str = 'floor') -> Tensor:
    """Feature vectors of the cells that hold some centres.

    Args:
        feature: (B, C, H, W).
        centres: (P, 2) x, y in pixels of the network input.
        image_index: (P,) int64 image of each centre.
        stride: pixels a cell.
        rounding: ``'floor'`` takes the cell that holds the centre;
            ``'round'`` the one whose corner is nearest, as the released
            MemCNP tracker does.

    Returns:
        (P, C). Centres outside the map take the nearest cell.
    """
    cell = centres / stride
    cell = cell.floor() if rounding == 'floor' else cell.round()
    x = cell[:, 0].long().clamp(0, feature.shape[3] - 1)
    y = cell[:, 1].long().clamp(0, feature.shape[2] - 1)
    return feature[image_index, :, y, x]


def object_vectors(feature: Tensor, boxes: Tensor, stride: int) -> Tensor:
    """Feature vectors of the cells that hold the centres of padded boxes.

    Args:
        feature: (B, C, H, W).
        boxes: (B, G, 4) x1, y1, x2, y2 in pixels of the network input.
        stride: pixels a cell.

    Returns:
        (B, G, C).
    """
    batch, num = boxes.shape[:2]
    image = torch.arange(batch, device=boxes.device).repeat_interleave(num)
    return vectors_at(feature, centres(boxes).flatten(0, 1), image,
                      stride).unflatten(0, (batch, num))
