"""How IDOL's queries are told apart, and how MemCNP trains them."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ..losses.query_pairs import name_by_layer
from ..matching import QueryAssignment
from ..memcnp import frame_cnp_loss, frame_contrast
from ..segmenters.deformable import DecodedQueries
from ..truth.ground_truth import GroundTruth, same_objects

if TYPE_CHECKING:
    from .idol import IDOL


@MODELS.register_module()
class MemCNPQueryTraining(nn.Module):
    """What MemCNP puts in the place of the host's rules of training.

    USS chooses the queries that learn an object, in every decoder layer;
    their boxes are distributions with a loss of their own beside the host's;
    embeddings are contrasted on cosines. Source: the MemCNP paper, eqs 8-16,
    with a decoder layer as what is a pyramid level there.

    Args:
        assigner (dict): A ``QueryUSSAssigner``.
        loss_cnp (dict): A ``MemCNPLoss``.
        loss_track (dict, optional): A ``ContrastiveTrackingLoss``, in place
            of the host's ``loss_embed``. Without it, that one stays.
    """

    def __init__(self,
                 assigner: dict,
                 loss_cnp: dict,
                 loss_track: dict | None = None) -> None:
        super().__init__()
        self.assigner: Any = TASK_UTILS.build(assigner)
        self.loss_cnp: Any = MODELS.build(loss_cnp)
        self.loss_track: Any = MODELS.build(loss_track) if loss_track else None

    def select(self, decoded: DecodedQueries, boxes: Tensor, valid: Tensor,
               fallback: Tensor) -> QueryAssignment:
        """Queries that learn the objects of B frames, in L layers.

        Args:
            decoded (DecodedQueries): Of the B frames.
            boxes (Tensor): Shape (B, G, 4), cx, cy, w, h as fractions.
            valid (Tensor): Shape (B, G) bool.
            fallback (Tensor): Shape (L, B, G) int64, the queries that the
                host's matching likes best. References start in clusters, and
                an object may have none inside.

        Returns:
            QueryAssignment: Of (L, B) sets of queries.
        """
        assert decoded.sigmas is not None
        return self.assigner.assign_frames(
            decoded.references, decoded.sigmas.detach(),
            bbox_cxcywh_to_xyxy(boxes), valid, fallback)

    def box_losses(self, decoded: DecodedQueries, probs: Tensor,
                   picked: QueryAssignment, boxes: Tensor,
                   labels: Tensor) -> dict[str, Tensor]:
        """Losses of the box distributions of all layers.

        Args:
            decoded (DecodedQueries): Of B frames.
            probs (Tensor): Shape (L, B, Q, K), class probabilities.
            picked (QueryAssignment): See :meth:`select`.
            boxes (Tensor): Shape (B, G, 4), cx, cy, w, h as fractions.
            labels (Tensor): Shape (B, G) int64.

        Returns:
            dict[str, Tensor]: ``loss_cnp`` of the last layer, the same with
            the prefix ``d<l>.`` of the others.
        """
        assert decoded.sigmas is not None
        layers = len(probs)
        return name_by_layer('loss_cnp', frame_cnp_loss(
            self.loss_cnp,
            bbox_cxcywh_to_xyxy(decoded.boxes).flatten(0, 1),
            decoded.sigmas.flatten(0, 1), probs.flatten(0, 1),
            picked.flatten(),
            bbox_cxcywh_to_xyxy(boxes).repeat(layers, 1, 1),
            labels.repeat(layers, 1), layers))

    def contrast(self, model: IDOL, best: Tensor, key: DecodedQueries,
                 key_gt: GroundTruth, ref: DecodedQueries,
                 ref_gt: GroundTruth, ref_wh: Tensor) -> dict[str, Tensor]:
        """Contrast of the best queries of both frames (eq 16).

        The reference frame has a choice of its own, without gradient.

        Args:
            model, best, key, key_gt, ref, ref_gt, ref_wh: As for
                :func:`embed_losses`.

        Returns:
            dict[str, Tensor]: ``loss_track``.
        """
        boxes, last = ref_gt.fractions(ref_wh), slice(-1, None)
        with torch.no_grad():
            scores = model.cls_branches[-1](ref.hidden[-1]).float().sigmoid()
            fallback = model.assigner.assign_batch(
                scores, ref.boxes[-1], boxes, ref_gt.labels,
                ref_gt.valid).best
            picked = self.select(ref.layers(last), boxes, ref_gt.valid,
                                 fallback[None])
        return dict(
            loss_track=frame_contrast(
                self.loss_track, model.embed_head(key.hidden[-1]), best,
                key_gt.ids, model.embed_head(ref.hidden[-1]), picked.best[-1],
                ref_gt.ids))


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
