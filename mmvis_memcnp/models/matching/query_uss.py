"""Uncertainty sample selection (eq 15) among the queries of a decoder."""
from typing import NamedTuple, Optional

import torch
from mmdet.models.task_modules.assigners import AssignResult, BaseAssigner
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor

from ..layers import centreness, distances_to_sides
from .points.uss import top_of_group


class QueryAssignment(NamedTuple):
    """Supports among Q queries; ``...`` may be (layers, images).

    What is neither positive nor negative is ignored.
    """
    pos: Tensor  # (..., Q) bool
    neg: Tensor  # (..., Q) bool
    gt_index: Tensor  # (..., Q) int64, object of a positive, else -1
    centreness: Tensor  # (..., Q) or, of clips, (..., T, Q): in the object of
    # a positive, 0 for all others
    best: Tensor  # (..., G) int64, the positive of each object with the
    # largest tau, -1 for an object without any

    def flatten(self) -> 'QueryAssignment':
        """The first two axes, (layers, images), as one."""
        return QueryAssignment(*(field.flatten(0, 1) for field in self))


@TASK_UTILS.register_module()
class QueryUSSAssigner(BaseAssigner):
    """Selects the queries that train boxes: central and certain ones.

    A query stands at its reference point, the box centre that entered the
    decoder layer, and a layer plays the part that a pyramid level plays in
    :class:`USSAssigner`. A query is a candidate of the smallest box that its
    point lies in. It scores ``tau = -lambda_tau * sigma + (1 - lambda_tau) *
    c``, with sigma the mean of its four standard deviations, at most 1, and c
    its centreness; the ``topk`` best candidates of an object are positives,
    the other queries with tau < 0 negatives.

    In a clip the queries follow their objects, so the choice is made once for
    all frames: tau is the mean over the frames in which the object is
    visible, and a candidate lies in its box in at least half of them.

    Args:
        topk (int): Positives an object and layer. Defaults to 5.
        lambda_tau (float): Balance of eq 15, in [0, 1]. Defaults to 0.5.
    """

    def __init__(self, topk: int = 5, lambda_tau: float = 0.5) -> None:
        self.topk = topk
        self.lambda_tau = lambda_tau

    def assign_frames(self,
                      references: Tensor,
                      sigmas: Tensor,
                      boxes: Tensor,
                      valid: Tensor,
                      fallback: Optional[Tensor] = None) -> QueryAssignment:
        """Select among the queries of frames.

        ``...`` are any leading axes, such as (layers, images); those of
        ``boxes`` and ``valid`` are broadcast, so that (images, ...) will do.

        Args:
            references (Tensor): Shape (..., Q, 2 or 4), x and y first,
                fractions of the image.
            sigmas (Tensor): Shape (..., Q, 4).
            boxes (Tensor): Shape (..., G, 4), xyxy as fractions of the image,
                padded.
            valid (Tensor): Shape (..., G) bool, False for padding.
            fallback (Tensor, optional): Shape (..., G) int64, the query that
                becomes the positive of an object without candidates, such as
                the one that the host's own matching likes best; -1 for none.
                It is taken from another object if that one keeps a
                candidate.

        Returns:
            QueryAssignment: See there.
        """
        lead = references.shape[:-2]
        found = self._assign(references[..., None, :, :],
                             sigmas[..., None, :, :], boxes[..., None, :, :],
                             valid[..., None, :], fallback, lead)
        return found._replace(centreness=found.centreness.squeeze(-2))

    def assign_clips(self,
                     references: Tensor,
                     sigmas: Tensor,
                     boxes: Tensor,
                     visible: Tensor,
                     matched: Optional[Tensor] = None) -> QueryAssignment:
        """Select among the queries of clips of T frames.

        Args:
            references (Tensor): Shape (..., T, Q, 2 or 4), x and y first.
            sigmas (Tensor): Shape (..., T, Q, 4).
            boxes (Tensor): Shape (..., T, G, 4), xyxy fractions, padded.
            visible (Tensor): Shape (..., T, G) bool, False for padding and
                where an object is absent.
            matched (Tensor, optional): Shape (..., G) int64, the query that
                the host's matching gives to each object, -1 for none. It is a
                positive of that object in any case and of no other.

        Returns:
            QueryAssignment: See there.
        """
        return self._assign(references, sigmas, boxes, visible, matched,
                            references.shape[:-3], always=True)

    def assign(self,
               pred_instances: InstanceData,
               gt_instances: InstanceData,
               gt_instances_ignore: Optional[InstanceData] = None,
               **kwargs) -> AssignResult:
        """Assign the queries of one frame, mmdet's interface.

        Args:
            pred_instances (InstanceData): ``references`` (Q, 2) and
                ``sigmas`` (Q, 4), fractions of the image.
            gt_instances (InstanceData): ``bboxes`` (G, 4) in the same units
                (tensor or box structure), ``labels`` (G,).
            gt_instances_ignore: Not used.

        Returns:
            AssignResult: As of :meth:`PointAssigner.assign`.
        """
        boxes = getattr(gt_instances.bboxes, 'tensor', gt_instances.bboxes)
        found = self.assign_frames(
            pred_instances.references, pred_instances.sigmas, boxes,
            boxes.new_ones(len(boxes), dtype=torch.bool))
        gt_inds = torch.where(found.pos, found.gt_index + 1, -1)
        gt_inds = gt_inds.masked_fill(found.neg, 0)
        labels = torch.full_like(gt_inds, -1)
        labels[found.pos] = gt_instances.labels[found.gt_index[found.pos]]
        return AssignResult(len(boxes), gt_inds, found.centreness, labels)

    @torch.no_grad()
    def _assign(self,
                references: Tensor,
                sigmas: Tensor,
                boxes: Tensor,
                visible: Tensor,
                given: Optional[Tensor],
                lead: torch.Size,
                always: bool = False) -> QueryAssignment:
        """The core: leading axes become one, N."""
        frames, queries = references.shape[-3:-1]
        num = boxes.shape[-2]
        if num == 0:  # one object that counts for nothing spares the case
            boxes = boxes.new_zeros(*boxes.shape[:-2], 1, 4)
            visible = visible.new_zeros(*visible.shape[:-1], 1)
            given = None
        padded = boxes.shape[-2]
        points = references[..., :2].float().reshape(-1, frames, queries, 2)
        sigma = sigmas.float().mean(-1).clamp(max=1).view(points.shape[:-1])
        boxes = boxes.float().expand(*lead, frames, padded,
                                     4).reshape(-1, frames, padded, 4)
        visible = visible.expand(*lead, frames,
                                 padded).reshape(-1, frames, padded)
        if given is not None:
            given = given.expand(*lead, num).reshape(-1, num)

        sides = distances_to_sides(points[..., None, :], boxes[:, :, None])
        seen = visible[:, :, None]  # (N, T, 1, G)
        inside = ((sides.amin(-1) >= 0) & seen).sum(1)  # (N, Q, G) frames
        times = visible.sum(1)  # (N, G)
        candidate = (2 * inside >= times[:, None]) & (times[:, None] > 0)
        centre = centreness(sides) * seen  # (N, T, Q, G)
        tau = ((1 - self.lambda_tau) * centre -
               self.lambda_tau * sigma[..., None] * seen).sum(1)
        tau = tau / times.clamp(min=1)[:, None]

        areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1) * visible
        areas = areas.sum(1) / times.clamp(min=1)
        own = torch.where(candidate, areas[:, None], torch.inf).argmin(-1)
        own = own.masked_fill(~candidate.any(-1), -1)
        claimed = torch.zeros_like(own, dtype=torch.bool)
        if given is not None:
            own, claimed = _claim(own, given, times > 0, always)

        index = own.clamp(min=0)[..., None]
        own_tau = torch.where(
            own >= 0, tau.gather(-1, index)[..., 0],
            -self.lambda_tau * sigma.mean(1))
        # One group an object; queries without one are a last group, whose
        # choice does not count.
        groups = torch.arange(len(own), device=own.device)[:, None] * (
            padded + 1) + own + 1
        chosen = top_of_group(own_tau.flatten(), groups.flatten(), self.topk)
        pos = (chosen.view_as(own) & (own >= 0)) | claimed
        gt_index = own.masked_fill(~pos, -1)
        phi = centre.gather(
            -1, index[:, None].expand(-1, frames, -1, -1))[..., 0]
        mine = gt_index[..., None] == torch.arange(
            padded, device=own.device)
        best = torch.where(mine, own_tau[..., None], -torch.inf).argmax(1)
        best = best.masked_fill(~mine.any(1), -1)[:, :num]
        return QueryAssignment(
            pos.view(*lead, queries),
            (~pos & (own_tau < 0)).view(*lead, queries),
            gt_index.view(*lead, queries),
            (phi * pos[:, None]).view(*lead, frames, queries),
            best.reshape(*lead, num))


def _claim(own: Tensor, given: Tensor, present: Tensor,
           always: bool) -> tuple[Tensor, Tensor]:
    """Let objects claim given queries, the first object on a conflict.

    Args:
        own: (N, Q) int64, object of each candidate, else -1.
        given: (N, G) int64 query of each object, -1 for none.
        present: (N, G) bool, objects that are there.
        always: whether objects with candidates claim as well, and queries
            that are the only candidate of another object are taken.

    Returns:
        The new owners (N, Q), and (N, Q) bool which queries were claimed.
    """
    num_queries, num = own.shape[1], given.shape[1]
    objects = torch.arange(num, device=own.device)
    claims = present & (given >= 0)
    if not always:
        counts = (own[..., None] == objects).sum(1)  # (N, G)
        before = own.gather(1, given.clamp(min=0))
        spare = (before < 0) | (counts.gather(1, before.clamp(min=0)) > 1)
        claims = claims & (counts == 0) & spare
    # Claims that do not count go to a row that is dropped.
    rows = torch.where(claims, given, num_queries)
    first = own.new_full((len(own), num_queries + 1), num).scatter_reduce(
        1, rows, objects.expand_as(rows), 'amin')[:, :-1]
    claimed = first < num
    return torch.where(claimed, first, own), claimed
