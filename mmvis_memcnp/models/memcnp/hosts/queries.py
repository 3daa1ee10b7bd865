"""MemCNP in the training of hosts with queries: IDOL and SeqFormer.

L decoder layers, B images or clips, T frames, Q queries, G padded ground
truths, K classes. Boxes are xyxy, fractions of the un-padded image.
"""
from dataclasses import replace

import torch
from mmdet.models.layers import MLP
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ...layers import aligned_iou
from ...losses.by_layer import name_by_layer
from ...matching import Queries, QueryUSSAssigner
from ...matching.points.geometry import inside_boxes, smallest_of
from ...truth import ClipTruth, GroundTruth, Matches
from ..contrast import ContrastiveTrackingLoss
from ..losses import Candidates, MemCNPLoss, Support, target_uncertainty


class QueryRules(nn.Module):
    """Rules of training that hosts with queries of frames or clips share.

    Args:
        assigner (dict): A ``QueryUSSAssigner``.
        loss (dict): A ``MemCNPLoss``.
        contrast (dict, optional): A ``ContrastiveTrackingLoss``.
    """

    def __init__(self, assigner: dict, loss: dict,
                 contrast: dict | None) -> None:
        super().__init__()
        self.assigner: QueryUSSAssigner = TASK_UTILS.build(assigner)
        self.loss: MemCNPLoss = MODELS.build(loss)
        self.contrast: ContrastiveTrackingLoss | None = (
            MODELS.build(contrast) if contrast else None)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The host's probabilities (..., K) of the classes (eq 11)."""
        return logits.float().sigmoid()

    def box_losses(self, queries: Queries, picked: Matches,
                   truth: GroundTruth | ClipTruth) -> dict[str, Tensor]:
        """Losses of the box distributions of all layers (eqs 8-14).

        Args:
            queries (Queries): Fields (L, B, Q, ...), with ``references`` and
                ``sigmas``.
            picked (Matches): Of ``select``.
            truth (GroundTruth | ClipTruth): Of the B frames or clips.

        Returns:
            dict[str, Tensor]: ``loss_cnp`` of the last layer,
            ``d<layer>.loss_cnp`` of the others.
        """
        mu, sigmas, phi = queries.boxes, queries.sigmas, picked.centreness
        points = queries.references
        assert mu is not None and sigmas is not None and phi is not None
        assert points is not None
        if mu.dim() == 4:  # a frame is a clip of one
            mu, sigmas, points = (
                x[..., None, :] for x in (mu, sigmas, points))
            picked = replace(picked, centreness=phi[..., None, :])
        boxes, visible = truth.by_frame()
        layers = len(mu)
        boxes = boxes.repeat(layers, 1, 1, 1)
        visible = visible.repeat(layers, 1, 1)
        points = points[..., :2].transpose(2, 3).flatten(0, 1)
        return name_by_layer('loss_cnp', clip_cnp_loss(
            self.loss,
            bbox_cxcywh_to_xyxy(mu).transpose(2, 3).flatten(0, 1),
            sigmas.transpose(2, 3).flatten(0, 1),
            self.probabilities(queries.logits).flatten(0, 1),
            picked.map(lambda x: x.flatten(0, 1)),
            boxes, truth.labels.repeat(layers, 1), visible,
            frame_owners(points, boxes, visible)
            if self.loss.sigma_samples != 'positives' else None, layers))


@MODELS.register_module()
class FrameRules(QueryRules):
    """What MemCNP puts in the place of IDOL's rules of training.

    USS chooses the queries that learn an object, in every decoder layer;
    their boxes are distributions with a loss of their own beside the host's;
    embeddings are contrasted on cosines. Source: the MemCNP paper, eqs 8-16,
    with a decoder layer as what is a pyramid level there.

    Args:
        assigner, loss, contrast: See :class:`QueryRules`; without
            ``contrast``, the host's own stays.
    """

    def select(self, queries: Queries, gt: GroundTruth,
               fallback: Tensor | None) -> Matches:
        """Queries that learn the objects of frames.

        Args:
            queries (Queries): Fields (L, B, Q, ...), or of one layer
                (B, Q, ...), with ``sigmas``.
            gt (GroundTruth): Of the B frames.
            fallback (Tensor, optional): Shape (L, B, G) int64, or (B, G), the
                queries that the host's matching likes best. References start
                in clusters, and an object may have none inside.

        Returns:
            Matches: Of the same sets of queries.
        """
        return self.assigner.match(queries, gt, fallback=fallback)

    def tracker(self) -> dict[str, dict]:
        """Settings of the tracker of a host whose embeddings the contrast
        trains: its scale, on vectors of length 1."""
        if self.contrast is None:
            return {}
        return dict(
            association=dict(similarity='cosine',
                             temperature=self.contrast.temperature),
            memory=dict(normalize=True))

    def track_loss(self, key_embeds: Tensor, key_best: Tensor,
                   key_ids: Tensor, ref_embeds: Tensor, ref_best: Tensor,
                   ref_ids: Tensor) -> dict[str, Tensor]:
        """``loss_track``, where there is a contrast: :func:`frame_contrast`
        of these arguments."""
        assert self.contrast is not None
        return dict(loss_track=frame_contrast(
            self.contrast, key_embeds, key_best, key_ids, ref_embeds,
            ref_best, ref_ids))


@MODELS.register_module()
class ClipRules(QueryRules):
    """What MemCNP adds to SeqFormer's rules of training.

    The host keeps its one-to-one matching: a clip takes the best queries
    without suppressing any, so that a second positive of the class would
    become a duplicate. Uncertainty sample selection (eq 15) adds queries to
    what trains the boxes and their distributions alone. The box queries of an
    object in different frames are pulled together by way of an MLP C-C-C that
    only training uses.

    Args:
        assigner, loss, contrast: See :class:`QueryRules`.
        embed_dims (int): C of the box queries. Defaults to 256.
    """

    def __init__(self,
                 assigner: dict,
                 loss: dict,
                 contrast: dict | None,
                 embed_dims: int = 256) -> None:
        super().__init__(assigner, loss, contrast)
        self.embed = (MLP(embed_dims, embed_dims, embed_dims, 2)
                      if contrast else None)

    def select(self, queries: Queries, truth: ClipTruth,
               matches: Matches) -> Matches:
        """Matched queries of all layers, and their supports.

        Args:
            queries (Queries): Fields (L, B, Q, T, ...), with ``sigmas``.
            truth (ClipTruth): Objects of the B clips.
            matches (Matches): The host's, of (L, B) sets of queries.

        Returns:
            Matches: Of the same sets.
        """
        return self.assigner.match(queries, truth, matched=matches.best)

    def track_loss(self, box_queries: Tensor, matched: Tensor,
                   truth: ClipTruth) -> dict[str, Tensor]:
        """Contrast between the frames of clips (eq 16).

        Args:
            box_queries (Tensor): Shape (B, T, Q, C), the last layer's.
            matched (Tensor): Shape (B, G) int64, the query that the host
                gives to each object in the last layer, -1 for none.
            truth (ClipTruth): Objects of the B clips.

        Returns:
            dict[str, Tensor]: ``loss_track``; nothing without a contrast.
        """
        if self.contrast is None or self.embed is None:
            return {}
        objects = torch.arange(
            matched.numel(), device=matched.device).view_as(matched)
        return dict(loss_track=clip_contrast(
            self.contrast, self.embed(box_queries), matched, objects,
            truth.by_frame()[1]))


def clip_cnp_loss(criterion: MemCNPLoss, boxes: Tensor, sigmas: Tensor,
                  probs: Tensor, assigned: Matches, gt_boxes: Tensor,
                  labels: Tensor, visible: Tensor,
                  candidates: Tensor | None = None,
                  layers: int = 1) -> Tensor:
    """Loss of the box distributions of clips (eqs 8-14).

    Each frame of an object has its own mixture. All layers at once: B counts
    through the layers and their clips.

    Args:
        criterion (MemCNPLoss): ``alpha='points'`` counts the Q queries.
        boxes (Tensor): Shape (B, T, Q, 4).
        sigmas (Tensor): Shape (B, T, Q, 4).
        probs (Tensor): Shape (B, Q, K), of the whole clip.
        assigned (Matches): Of the same.
        gt_boxes (Tensor): Shape (B, T, G, 4).
        labels (Tensor): Shape (B, G) int64.
        visible (Tensor): Shape (B, T, G) bool, False where an object is
            absent or padded.
        candidates (Tensor, optional): Shape (B, T, Q) int64, object whose
            uncertainty a query's sigma is drawn to (eq 12), -1 for none.
            Defaults to None: the supporting samples alone are.
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

    def of(owner: Tensor) -> tuple[tuple[Tensor, ...], Candidates]:
        """Samples that have an object, (B, T, Q) with -1 for none."""
        at = clip, frame, query = (owner >= 0).nonzero(as_tuple=True)
        gt = owner[at]
        prob = probs.detach()[clip, query, labels[clip, gt]]
        iou = aligned_iou(boxes.detach()[at], gt_boxes[clip, frame, gt])
        return at, Candidates(
            sigmas[at], (clip * frames + frame) * num + gt,
            target_uncertainty(prob, iou))

    owner = assigned.gt_index[:, None].expand(-1, frames, -1)
    seen = visible.gather(2, owner.clamp(min=0))
    at, chosen = of(owner.masked_fill(~seen, -1))
    loss, supported = criterion.per_box(
        Support(
            mu=boxes[at],
            phi=assigned.centreness[at],
            gt_boxes=gt_boxes.flatten(0, 2),
            **chosen._asdict()),
        None if candidates is None else of(candidates)[1],
        num_points=boxes.shape[2],
        per_image=num)
    times = supported.view(-1, frames, num).sum(1)
    mean = loss.view(-1, frames, num).sum(1) / times.clamp(min=1)
    objects = (times > 0).view(layers, -1).sum(1)
    total = mean.view(layers, -1).sum(1) / objects.clamp(min=1)
    if candidates is None:
        return total
    return total + criterion.outside(
        sigmas.flatten(1, 2), candidates.flatten(1) < 0).view(
            layers, -1).mean(1)


def frame_owners(points: Tensor, boxes: Tensor, visible: Tensor) -> Tensor:
    """The smallest box that each query stands in, frame by frame.

    Args:
        points (Tensor): Shape (B, T, Q, 2), reference points.
        boxes (Tensor): Shape (B, T, G, 4).
        visible (Tensor): Shape (B, T, G) bool.

    Returns:
        Tensor: Shape (B, T, Q) int64, -1 outside all boxes.
    """
    if not boxes.shape[2]:
        return torch.full_like(points[..., 0], -1, dtype=torch.long)
    flat = boxes.flatten(0, 1)
    contains = inside_boxes(points.flatten(0, 1).float(), flat, True)
    contains = contains & visible.flatten(0, 1)[:, None]
    return smallest_of(contains, flat).view(points.shape[:-1])


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
    return contrast_between_frames(
        criterion, embeds, torch.where(visible, matched[:, None], -1),
        ids[:, None].expand(-1, frames, -1))


def contrast_between_frames(criterion: ContrastiveTrackingLoss,
                            embeds: Tensor, matched: Tensor,
                            ids: Tensor) -> Tensor:
    """The same, with queries that may differ from frame to frame.

    Args:
        criterion (ContrastiveTrackingLoss): Works on cosines.
        embeds (Tensor): Shape (B, T, Q, C).
        matched (Tensor): Shape (B, T, G) int64, -1 for none.
        ids (Tensor): Shape (B, T, G) int64, unique over the whole batch.

    Returns:
        Tensor: Scalar.
    """
    return frame_contrast(criterion, *(
        x[:, start::2].flatten(0, 1)
        for start in (0, 1) for x in (embeds, matched, ids)))


def _rows(embeds: Tensor, chosen: Tensor) -> Tensor:
    """Embeddings (P, C) of the chosen queries (B, G), -1 left out."""
    image, gt = (chosen >= 0).nonzero(as_tuple=True)
    return embeds[image, chosen[image, gt]]
