"""MemCNP in the training of SipMask's dense head.

B frames, N points of all pyramid levels, G padded ground truths, P selected
points.
"""
from typing import NamedTuple

from torch import Tensor

from ...layers import aligned_iou
from ..losses import Candidates, MemCNPLoss, Support, target_uncertainty


class SelectedPoints(NamedTuple):
    """P points that were selected to learn an object.

    Attributes:
        image: (P,) int64, frame of each.
        point: (P,) int64, in [0, N).
        gt: (P,) int64, its object, in [0, G).
        labels: (P,) int64, class of the object.
        boxes: (P, 4), what the point predicts, pixels.
        targets: (P, 4), box of the object, pixels.
        probs: (P,), predicted probability of the class, without gradient.
    """
    image: Tensor
    point: Tensor
    gt: Tensor
    labels: Tensor
    boxes: Tensor
    targets: Tensor
    probs: Tensor


def point_cnp_loss(criterion: MemCNPLoss, found: SelectedPoints,
                   inside: SelectedPoints, sigmas: Tensor, phi: Tensor,
                   gt_boxes: Tensor, unit: Tensor, num_images: Tensor,
                   outside: Tensor) -> Tensor:
    """Loss of the box distributions of points (eqs 8-14).

    Args:
        criterion (MemCNPLoss): ``alpha='points'`` counts the N points.
        found (SelectedPoints): The supporting samples.
        inside (SelectedPoints): The points whose sigmas are regularised.
        sigmas (Tensor): Shape (B, N, 4), in the criterion's ``box_unit``.
        phi (Tensor): Shape (P,), centreness of the supporting samples.
        gt_boxes (Tensor): Shape (B, G, 4), pixels.
        unit (Tensor): Shape (4,), width and height that boxes are fractions
            of, twice.
        num_images (Tensor): Frames that have an object.
        outside (Tensor): Shape (B, N) bool, points in no box.

    Returns:
        Tensor: Scalar.
    """
    num = gt_boxes.shape[1]

    def of(points: SelectedPoints) -> Candidates:
        iou = aligned_iou(points.boxes.detach(), points.targets, offset=1)
        return Candidates(
            sigmas[points.image, points.point],
            points.image * num + points.gt,
            target_uncertainty(points.probs, iou))

    return criterion(
        Support(
            mu=found.boxes / unit,
            phi=phi,
            gt_boxes=(gt_boxes / unit).flatten(0, 1),
            **of(found)._asdict()),
        of(inside),
        num_points=sigmas.shape[1],
        num_images=num_images,
        per_image=num) + criterion.outside(sigmas, outside).mean()
