"""How MemCNP trains IDOL's queries."""
from typing import Any

from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ..losses.by_layer import name_by_layer
from ..matching import Queries
from ..memcnp import frame_cnp_loss, frame_contrast
from ..truth.ground_truth import GroundTruth
from ..truth.matches import Matches


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

    def select(self, queries: Queries, gt: GroundTruth,
               fallback: Tensor) -> Matches:
        """Queries that learn the objects of B frames.

        Args:
            queries (Queries): Fields (L, B, Q, ...), or of one layer
                (B, Q, ...).
            gt (GroundTruth): Of the B frames.
            fallback (Tensor): Shape (L, B, G) int64, or (B, G), the queries
                that the host's matching likes best. References start in
                clusters, and an object may have none inside.

        Returns:
            Matches: Of the same sets of queries.
        """
        return self.assigner.match(queries, gt, fallback=fallback)

    def box_losses(self, queries: Queries, matches: Matches,
                   gt: GroundTruth) -> dict[str, Tensor]:
        """Losses of the box distributions of all layers.

        Args:
            queries (Queries): Fields (L, B, Q, ...).
            matches (Matches): See :meth:`select`.
            gt (GroundTruth): Of the B frames.

        Returns:
            dict[str, Tensor]: ``loss_cnp`` of the last layer, the same with
            the prefix ``d<l>.`` of the others.
        """
        assert queries.boxes is not None and queries.sigmas is not None
        layers = len(queries.logits)
        return name_by_layer('loss_cnp', frame_cnp_loss(
            self.loss_cnp, bbox_cxcywh_to_xyxy(queries.boxes).flatten(0, 1),
            queries.sigmas.flatten(0, 1),
            queries.logits.sigmoid().flatten(0, 1),
            matches.map(lambda x: x.flatten(0, 1)),
            gt.xyxy.repeat(layers, 1, 1), gt.labels.repeat(layers, 1),
            layers))

    def contrast(self, key_embeds: Tensor, key_best: Tensor, key_ids: Tensor,
                 ref_embeds: Tensor, ref_best: Tensor,
                 ref_ids: Tensor) -> dict[str, Tensor]:
        """Contrast of the best queries of both frames (eq 16).

        Args:
            key_embeds, key_best, key_ids, ref_embeds, ref_best, ref_ids: As
                for :func:`frame_contrast`; the reference frame has a choice
                of its own.

        Returns:
            dict[str, Tensor]: ``loss_track``.
        """
        return dict(loss_track=frame_contrast(
            self.loss_track, key_embeds, key_best, key_ids, ref_embeds,
            ref_best, ref_ids))
