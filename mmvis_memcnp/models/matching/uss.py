"""Uncertainty sample selection (eq 15) among the queries of a decoder."""
from dataclasses import replace

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ..layers import centreness, distances_to_sides
from ..truth.clip_truth import ClipTruth
from ..truth.matches import Matches
from .costs import Queries, Truth
from .points.uss import top_of_group


@TASK_UTILS.register_module()
class QueryUSSAssigner:
    """Selects the queries that train boxes: central and certain ones.

    A query stands at its reference point, the box centre that entered the
    decoder layer, and a layer plays the part that a pyramid level plays in
    :class:`USSAssigner`. A query is a candidate of the smallest box that its
    point lies in. It scores ``tau = -lambda_tau * sigma + (1 - lambda_tau) *
    c``, with sigma the mean of its four standard deviations and c its
    centreness; the ``topk`` best candidates of an object are positives,
    the other queries with tau < 0 negatives.

    In a clip the queries follow their objects, so the choice is made once for
    all frames: tau is the mean over the frames in which the object is
    visible, and a candidate lies in its box in at least half of them.

    Args:
        topk (int): Positives an object and layer; with a higher value less
            certain queries train as well. Defaults to 5.
        lambda_tau (float): Balance of eq 15, in [0, 1]; with a higher value
            certainty counts more, and being central less. Defaults to 0.5.
    """

    def __init__(self, topk: int = 5, lambda_tau: float = 0.5) -> None:
        self.topk = topk
        self.lambda_tau = lambda_tau

    @torch.no_grad()
    def match(self,
              queries: Queries,
              truth: Truth,
              matched: Tensor | None = None,
              fallback: Tensor | None = None) -> Matches:
        """Select among the queries of B frames or clips in L layers.

        Args:
            queries (Queries): Fields (L, B, Q, ...), or any leading axes,
                with ``references`` and ``sigmas``.
            truth (GroundTruth | ClipTruth): Of the B frames or clips.
            matched (Tensor, optional): Shape (L, B, G) int64, the query that
                the host's matching gives to each object, -1 for none. It is a
                positive of that object in any case and of no other.
            fallback (Tensor, optional): Shape (L, B, G) int64, the query that
                becomes the positive of an object without candidates, such as
                the one that the host's own matching likes best; -1 for none.
                It is taken from another object if that one keeps a
                candidate.

        Returns:
            Matches: With ``ignored`` queries and, 0 of all but positives,
            ``centreness``; ``best`` is the positive with the largest tau.
        """
        references, sigmas = queries.references, queries.sigmas
        assert references is not None and sigmas is not None
        boxes, visible = truth.xyxy, truth.valid
        clips = boxes.dim() == visible.dim() + 2
        if clips:  # the axis of frames comes first
            assert isinstance(truth, ClipTruth)
            references, sigmas = (
                x.transpose(-3, -2) for x in (references, sigmas))
            boxes = boxes.transpose(-3, -2)
            visible = truth.present.transpose(-2, -1)
        else:
            references, sigmas, boxes = (
                x[..., None, :, :] for x in (references, sigmas, boxes))
            visible = visible[..., None, :]
        given = fallback if matched is None else matched
        found = self._select(references, sigmas, boxes, visible, given,
                             matched is not None)
        if clips or found.centreness is None:
            return found
        return replace(found, centreness=found.centreness.squeeze(-2))

    def _select(self, references: Tensor, sigmas: Tensor, boxes: Tensor,
                visible: Tensor, given: Tensor | None,
                always: bool) -> Matches:
        """See :meth:`match`; fields with an axis T before Q or G."""
        lead = references.shape[:-3]
        frames, queries = references.shape[-3:-1]
        num = boxes.shape[-2]
        points = references[..., :2].float().reshape(-1, frames, queries, 2)
        sigma = sigmas.float().mean(-1).view(points.shape[:-1])
        boxes = boxes.float().expand(*lead, frames, num, 4).reshape(
            -1, frames, num, 4)
        visible = visible.expand(*lead, frames, num).reshape(
            -1, frames, num)
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
            num + 1) + own + 1
        chosen = top_of_group(own_tau.flatten(), groups.flatten(), self.topk)
        pos = (chosen.view_as(own) & (own >= 0)) | claimed
        gt_index = own.masked_fill(~pos, -1)
        phi = centre.gather(
            -1, index[:, None].expand(-1, frames, -1, -1))[..., 0]
        mine = gt_index[..., None] == torch.arange(num, device=own.device)
        best = torch.where(mine, own_tau[..., None], -torch.inf).argmax(1)
        best = best.masked_fill(~mine.any(1), -1)
        return Matches(
            gt_index.view(*lead, queries), best.view(*lead, num),
            (~pos & ~(own_tau < 0)).view(*lead, queries),
            (phi * pos[:, None]).view(*lead, frames, queries))


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
