"""Losses of MemCNP on the queries of a decoder layer.

B images or clips, T frames, Q queries, G padded ground truths, K classes.
Boxes are xyxy, fractions of the un-padded image.
"""
from dataclasses import replace

import torch
from torch import Tensor

from ..layers import aligned_iou
from ..truth.matches import Matches
from .contrast import ContrastiveTrackingLoss
from .losses import MemCNPLoss, target_uncertainty


def frame_cnp_loss(criterion: MemCNPLoss, boxes: Tensor, sigmas: Tensor,
                   probs: Tensor, assigned: Matches, gt_boxes: Tensor,
                   labels: Tensor, layers: int = 1) -> Tensor:
    """Loss of the box distribution in decoder layers (eqs 8-14).

    All layers at once: B counts through the layers and their images.

    Args:
        criterion (MemCNPLoss): ``alpha='points'`` counts the Q queries.
        boxes (Tensor): Shape (B, Q, 4), the predicted means mu.
        sigmas (Tensor): Shape (B, Q, 4).
        probs (Tensor): Shape (B, Q, K), the host's class probabilities.
        assigned (Matches): Of the same.
        gt_boxes (Tensor): Shape (B, G, 4).
        labels (Tensor): Shape (B, G) int64.
        layers (int): Of which B is a multiple. Defaults to 1.

    Returns:
        Tensor: Shape (layers,), the mean over the ground truths with support
        in a layer; zero, with the graph attached, if there is none.
    """
    assert assigned.centreness is not None
    return clip_cnp_loss(
        criterion, boxes[:, None], sigmas[:, None], probs,
        replace(assigned, centreness=assigned.centreness[:, None]),
        gt_boxes[:, None], labels,
        torch.ones_like(labels, dtype=torch.bool)[:, None], layers)


def clip_cnp_loss(criterion: MemCNPLoss, boxes: Tensor, sigmas: Tensor,
                  probs: Tensor, assigned: Matches, gt_boxes: Tensor,
                  labels: Tensor, visible: Tensor,
                  layers: int = 1) -> Tensor:
    """The same on clips: each frame of an object has its own mixture.

    Args:
        criterion (MemCNPLoss): See :func:`frame_cnp_loss`.
        boxes (Tensor): Shape (B, T, Q, 4).
        sigmas (Tensor): Shape (B, T, Q, 4).
        probs (Tensor): Shape (B, Q, K), of the whole clip.
        assigned (Matches): Of the same.
        gt_boxes (Tensor): Shape (B, T, G, 4).
        labels (Tensor): Shape (B, G) int64.
        visible (Tensor): Shape (B, T, G) bool, False where an object is
            absent or padded.
        layers (int): Of which B is a multiple. Defaults to 1.

    Returns:
        Tensor: Shape (layers,), the mean over an object's visible frames,
        then over the objects with support.

    Raises:
        ValueError: If the criterion does not average over ground truths.
    """
    if criterion.reduction != 'gt_mean':
        raise ValueError(
            'A query host averages MemCNPLoss over ground truths but '
            f"reduction={criterion.reduction!r}: set reduction='gt_mean'.")
    assert assigned.centreness is not None
    frames, num = visible.shape[1:]
    if num == 0:  # an index into no object at all is not defined
        return ((boxes.sum() + sigmas.sum()) * 0).expand(layers)
    owner = assigned.gt_index.clamp(min=0)[:, None].expand(-1, frames, -1)
    present = visible.gather(2, owner) & assigned.pos[:, None]
    clip, frame, query = present.nonzero(as_tuple=True)
    gt = assigned.gt_index[clip, query]
    mu, target = boxes[clip, frame, query], gt_boxes[clip, frame, gt]
    prob = probs.detach()[clip, query, labels[clip, gt]]
    loss, supported = criterion.per_box(
        mu=mu,
        sigma=sigmas[clip, frame, query],
        phi=assigned.centreness[clip, frame, query],
        gt_index=(clip * frames + frame) * num + gt,
        gt_boxes=gt_boxes.flatten(0, 2),
        uncertainty=target_uncertainty(prob, aligned_iou(mu, target)),
        num_points=boxes.shape[2])
    times = supported.view(-1, frames, num).sum(1)
    mean = loss.view(-1, frames, num).sum(1) / times.clamp(min=1)
    objects = (times > 0).view(layers, -1).sum(1)
    return mean.view(layers, -1).sum(1) / objects.clamp(min=1)


def frame_contrast(criterion: ContrastiveTrackingLoss, key_embeds: Tensor,
                   key_best: Tensor, key_ids: Tensor, ref_embeds: Tensor,
                   ref_best: Tensor, ref_ids: Tensor) -> Tensor:
    """Contrast between the best queries of key and reference frames (eq 16).

    The best query of an object in the reference frame stands for the centre
    of its ground-truth box there, which has no vector among queries.

    Args:
        criterion (ContrastiveTrackingLoss): Works on cosines.
        key_embeds (Tensor): Shape (B, Q, C), embeddings of the queries.
        key_best (Tensor): Shape (B, G), ``Matches.best``.
        key_ids (Tensor): Shape (B, G) int64, unique over the whole batch.
        ref_embeds (Tensor): Shape (B, Q, C).
        ref_best (Tensor): Shape (B, G'), of the reference frame's own
            selection.
        ref_ids (Tensor): Shape (B, G') int64.

    Returns:
        Tensor: Scalar.
    """
    return criterion(
        _rows(key_embeds, key_best), key_ids[key_best >= 0],
        _rows(ref_embeds, ref_best), ref_ids[ref_best >= 0])


def clip_contrast(criterion: ContrastiveTrackingLoss, embeds: Tensor,
                  matched: Tensor, ids: Tensor, visible: Tensor) -> Tensor:
    """Contrast between the frames of clips (eq 16).

    Frames 0, 2, ... are keys and frames 1, 3, ... references: each object is
    pulled together over all pairs of them. A clip of one frame has no pair.

    Args:
        criterion (ContrastiveTrackingLoss): Works on cosines.
        embeds (Tensor): Shape (B, T, Q, C), embeddings of the per-frame
            queries.
        matched (Tensor): Shape (B, G) int64, query of each object, -1 for
            none.
        ids (Tensor): Shape (B, G) int64, unique over the whole batch.
        visible (Tensor): Shape (B, T, G) bool.

    Returns:
        Tensor: Scalar.
    """
    frames = embeds.shape[1]
    matched = torch.where(visible, matched[:, None], -1)
    ids = ids[:, None].expand(-1, frames, -1)

    def every_second(start: int) -> tuple[Tensor, Tensor, Tensor]:
        return (embeds[:, start::2].flatten(0, 1),
                matched[:, start::2].flatten(0, 1),
                ids[:, start::2].flatten(0, 1))

    return frame_contrast(criterion, *every_second(0), *every_second(1))


def _rows(embeds: Tensor, chosen: Tensor) -> Tensor:
    """Embeddings (P, C) of the chosen queries (B, G), -1 left out."""
    image, gt = (chosen >= 0).nonzero(as_tuple=True)
    return embeds[image, chosen[image, gt]]
