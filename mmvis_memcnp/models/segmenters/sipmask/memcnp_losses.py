"""Losses of the MemCNP head beside those that every SipMask has."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers import jitter_boxes
from ...layers.masks import object_vectors
from ...losses.sipmask import match_cross_entropy
from ...memcnp import ContrastiveTrackingLoss
from ...memcnp.hosts.sipmask import SelectedPoints
from ...truth.ground_truth import GroundTruth
from ...truth.matches import Matches


def class_loss(criterion: nn.Module, logits: Tensor, picked: Matches,
               found: SelectedPoints, with_gt: Tensor) -> Tensor:
    """Focal loss over positives and negatives, by frame.

    Args:
        criterion (nn.Module): Focal loss without reduction.
        logits (Tensor): Shape (B, N, num_classes).
        picked (Matches): Of the B x N points; what is neither
            positive nor negative learns no class.
        found (SelectedPoints): The positives.
        with_gt (Tensor): Shape (B,) bool, frames that have an object.

    Returns:
        Tensor: Scalar: the sum of a frame over its number of positives,
        averaged over the frames that have an object.
    """
    classes = torch.full_like(picked.gt_index, logits.shape[-1])
    classes[found.image, found.point] = found.labels
    focal = criterion(logits.flatten(0, 1), classes.flatten()).sum(-1)
    focal = focal.view_as(classes) * (picked.pos | picked.neg)
    share = picked.pos.sum(1).clamp(min=1)
    return (focal.sum(1) / share * with_gt).sum() / with_gt.sum().clamp(min=1)


def box_loss(criterion: nn.Module, picked: Matches,
             found: SelectedPoints, with_gt: Tensor) -> Tensor:
    """Loss of the positives' boxes: mean over a frame, then over frames.

    Args:
        criterion (nn.Module): Of boxes in pixels, without reduction.
        picked, found, with_gt: As for :func:`class_loss`.
    """
    per_frame = picked.pos.sum(1).clamp(min=1)
    share = 1 / (per_frame * with_gt.sum().clamp(min=1))[found.image]
    # The second term is the zero that keeps a batch without a positive on
    # the graph.
    return (criterion(found.boxes, found.targets) *
            share).sum() + found.boxes.sum() * 0


def centreness_loss(logits: Tensor, targets: Tensor,
                    inside: Tensor) -> Tensor:
    """Cross entropy over the points inside of boxes, mean over frames.

    Args:
        logits (Tensor): Shape (B, N).
        targets (Tensor): Shape (B, N), in [0, 1].
        inside (Tensor): Shape (B, N) bool.
    """
    bce = F.binary_cross_entropy_with_logits(
        logits, targets, reduction='none') * inside
    return (bce.sum(1) / inside.sum(1).clamp(min=1)).mean()


def track_losses(criterion: ContrastiveTrackingLoss | None,
                 track_map: Tensor,
                 ref_map: Tensor,
                 vectors: Tensor,
                 image: Tensor,
                 ids: Tensor,
                 key_gt: GroundTruth,
                 ref_gt: GroundTruth,
                 stride: int,
                 ref_jitter: float,
                 anchors: str = 'candidates') -> dict[str, Tensor]:
    """Loss of the track vectors.

    Args:
        criterion (ContrastiveTrackingLoss, optional): None matches by cross
            entropy as the host does.
        track_map (Tensor): Shape (B, C, H, W), of the key frames.
        ref_map (Tensor): Shape (B, C, H, W), of the reference frames.
        vectors (Tensor): Shape (P, C), at the centres of the selected boxes.
        image (Tensor): Shape (P,) int64, clip of each of them.
        ids (Tensor): Shape (P,) int64, identity of each of them.
        key_gt (GroundTruth): Objects of the key frames.
        ref_gt (GroundTruth): Objects of the reference frames.
        stride (int): Input pixels a cell of the maps.
        ref_jitter (float): Random shift and scale of the reference boxes, a
            fraction of their size.
        anchors (str): Where the key frame's vectors are taken for the
            contrast: 'candidates' (``vectors``) or 'ground_truth' (centres
            of the objects).

    Returns:
        dict[str, Tensor]: ``loss_match`` and ``match_acc`` in percent.
    """
    ref_vectors = object_vectors(
        ref_map, jitter_boxes(ref_gt.boxes, ref_jitter), stride)
    if criterion is None:
        return match_cross_entropy(vectors, ref_vectors[image], ids,
                                   ref_gt.ids[image], image, len(ref_map))
    # The host's matching on the contrastive scale, for the log.
    with torch.no_grad():
        accuracy = match_cross_entropy(
            F.normalize(vectors.float(), dim=1) / criterion.temperature,
            F.normalize(ref_vectors.float(), dim=-1)[image], ids,
            ref_gt.ids[image], image, len(ref_map))['match_acc']
    if anchors == 'ground_truth':
        vectors = object_vectors(
            track_map, key_gt.boxes, stride)[key_gt.valid]
        ids = key_gt.ids[key_gt.valid]
    loss = criterion(vectors, ids, ref_vectors[ref_gt.valid],
                     ref_gt.ids[ref_gt.valid])
    return dict(loss_match=loss, match_acc=accuracy)
