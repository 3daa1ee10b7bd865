"""How IDOL's queries are told apart, by itself and with MemCNP."""
from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from ..segmenters.deformable import DecodedQueries
from ..truth.ground_truth import GroundTruth, same_objects

if TYPE_CHECKING:
    from .idol import IDOL


def embed_losses(model: IDOL, best: Tensor, key: DecodedQueries,
                 key_gt: GroundTruth, ref: DecodedQueries,
                 ref_gt: GroundTruth, ref_wh: Tensor) -> dict[str, Tensor]:
    """The host's contrast of objects with all queries of a reference frame.

    Args:
        model (IDOL): Its heads, assigner and ``loss_embed``.
        best (Tensor): Shape (N, G) int64, query of each object in the last
            layer, -1 for an object without any.
        key (DecodedQueries): Of the N key frames.
        key_gt (GroundTruth): The same.
        ref (DecodedQueries): Of the N reference frames.
        ref_gt (GroundTruth): The same.
        ref_wh (Tensor): Shape (N, 2), sizes of the reference frames.

    Returns:
        dict[str, Tensor]: Of the contrastive loss.
    """
    found, row = same_objects(key_gt, ref_gt)
    found = found & (best >= 0)
    fractions = ref_gt.fractions(ref_wh)
    boxes = fractions.gather(1, row[..., None].expand(-1, -1, 4))
    with torch.no_grad():
        scores = model.cls_branches[-1](ref.hidden[-1]).float().sigmoid()
    positive, possible = model.assigner.candidates(
        scores, ref.boxes[-1], boxes, key_gt.labels, found,
        model.positive_topk, model.ignore_topk)
    hidden = key.hidden[-1]
    rows = best.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
    return model.loss_embed(
        model.embed_head(hidden.gather(1, rows)),
        model.embed_head(ref.hidden[-1]), positive.transpose(1, 2),
        ~possible.transpose(1, 2), found)


def track_losses(model: IDOL, best: Tensor, key: DecodedQueries,
                 key_gt: GroundTruth, ref: DecodedQueries,
                 ref_gt: GroundTruth, ref_wh: Tensor) -> dict[str, Tensor]:
    """MemCNP's contrast of the best queries of both frames (eq 16).

    The reference frame has a choice of its own, without gradient.

    Args:
        model, best, key, key_gt, ref, ref_gt, ref_wh: As for
            :func:`embed_losses`.

    Returns:
        dict[str, Tensor]: ``loss_track``.
    """
    assert ref.sigmas is not None
    boxes, last = ref_gt.fractions(ref_wh), slice(-1, None)
    with torch.no_grad():
        scores = model.cls_branches[-1](ref.hidden[-1]).float().sigmoid()
        fallback = model.assigner.assign_batch(
            scores, ref.boxes[-1], boxes, ref_gt.labels, ref_gt.valid).best
        picked = model.memcnp_training.select(
            ref.references[last], ref.sigmas[last],
            bbox_cxcywh_to_xyxy(boxes), ref_gt.valid, fallback[None])
    return model.memcnp_training.track_loss(
        model.embed_head(key.hidden[-1]), best, key_gt.ids,
        model.embed_head(ref.hidden[-1]), picked.best[-1], ref_gt.ids)
