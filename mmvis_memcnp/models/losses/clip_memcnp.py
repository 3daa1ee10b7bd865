"""MemCNP in the training of a host whose queries see whole clips."""
from __future__ import annotations

from typing import Any

import torch
from mmdet.models.layers import MLP
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ..matching import Queries, QueryUSSAssigner
from ..memcnp import MemCNPLoss, clip_cnp_loss, clip_contrast
from ..segmenters.deformable import DecodedClips, MemCNPBoxBranches
from ..truth.clip_truth import ClipTruth
from ..truth.matches import Matches
from .by_layer import name_by_layer


@MODELS.register_module()
class ClipMemCNPLoss(nn.Module):
    """Supports, distribution and contrast of the box queries of clips.

    The host keeps its one-to-one matching: a clip takes the best queries
    without suppressing any, so that a second positive of the class would
    become a duplicate. Uncertainty sample selection (eq 15) adds queries to
    what trains the boxes and their distributions alone.

    L layers, B clips of T frames, Q queries, G padded objects.

    Args:
        embed_dims (int): C of the box queries. Defaults to 256.
        assigner (dict, optional): Defaults to :class:`QueryUSSAssigner`.
        loss_cnp (dict, optional): Defaults to :class:`MemCNPLoss` with
            ``alpha='points'``.
        contrast (bool): Pull the box queries of an object in different
            frames together (eq 16), by way of an MLP C-C-C that only
            training uses. Defaults to True.
        loss_track (dict, optional): Of that contrast. Defaults to
            :class:`ContrastiveTrackingLoss`.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 assigner: dict | None = None,
                 loss_cnp: dict | None = None,
                 contrast: bool = True,
                 loss_track: dict | None = None) -> None:
        super().__init__()
        self.assigner: QueryUSSAssigner = TASK_UTILS.build(
            assigner or dict(type='QueryUSSAssigner'))
        self.loss_cnp: MemCNPLoss = MODELS.build(
            loss_cnp or dict(type='MemCNPLoss', alpha='points'))
        self.embed: Any = None
        self.loss_track: Any = None
        if contrast:
            self.embed = MLP(embed_dims, embed_dims, embed_dims, 2)
            self.loss_track = MODELS.build(
                loss_track or dict(type='ContrastiveTrackingLoss'))

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

    def forward(self, decoded: DecodedClips, logits: Tensor, boxes: Tensor,
                matches: Matches, picked: Matches,
                truth: ClipTruth) -> dict[str, Tensor]:
        """Losses beside those of the host.

        Args:
            decoded (DecodedClips): With ``sigmas``.
            logits (Tensor): Shape (L, B, Q, K), of the classes.
            boxes (Tensor): Shape (L, B, Q, T, 4), cx, cy, w, h.
            matches (Matches): The host's.
            picked (Matches): Of :meth:`select`.
            truth (ClipTruth): Objects of the B clips.

        Returns:
            dict[str, Tensor]: ``loss_cnp`` of the last layer and, if wanted,
            ``loss_track``; ``d<layer>.loss_cnp`` of the others.
        """
        gt_boxes, visible = frame_truth(truth)
        layers = len(logits)
        out = name_by_layer('loss_cnp', clip_cnp_loss(
            self.loss_cnp,
            bbox_cxcywh_to_xyxy(boxes).transpose(2, 3).flatten(0, 1),
            _sigmas(decoded).flatten(0, 1),
            logits.float().sigmoid().flatten(0, 1),
            picked.map(lambda x: x.flatten(0, 1)),
            gt_boxes.repeat(layers, 1, 1, 1), truth.labels.repeat(layers, 1),
            visible.repeat(layers, 1, 1), layers))
        if self.embed is not None:
            assert matches.best is not None
            matched = matches.best[-1]
            objects = torch.arange(
                matched.numel(), device=matched.device).view_as(matched)
            out['loss_track'] = clip_contrast(
                self.loss_track, self.embed(decoded.box_queries[-1]), matched,
                objects, visible)
        return out

    @staticmethod
    def remember(branches: MemCNPBoxBranches, decoded: DecodedClips,
                 truth: ClipTruth) -> None:
        """Write the last layer's box queries of all frames (eqs 4, 5).

        Once an iteration, on every rank, after all that reads the memory.

        Args:
            branches (MemCNPBoxBranches): That hold it.
            decoded (DecodedClips): B clips.
            truth (ClipTruth): Their objects.
        """
        branches.write(decoded.box_queries[-1], decoded.references[-1],
                       *frame_truth(truth))


def frame_truth(truth: ClipTruth) -> tuple[Tensor, Tensor]:
    """Boxes (B, T, G, 4), xyxy, and in which frames objects are seen."""
    return (truth.xyxy.transpose(1, 2),
            truth.present.transpose(1, 2))


def _sigmas(decoded: DecodedClips) -> Tensor:
    """Standard deviations (L, B, T, Q, 4) of a host with MemCNP."""
    return torch.stack([s for s in decoded.sigmas if s is not None])
