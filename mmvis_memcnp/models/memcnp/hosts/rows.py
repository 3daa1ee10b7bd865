"""MemCNP on rows that stay the same object: DVIS-DAQ, VidEoMT.

B videos (or N frames), R rows, C channels, G padded objects, K classes. Boxes
are fractions of the un-padded frame.
"""
from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from torch import Tensor, nn

from ....results.frame import FrameInstances
from ...layers import aligned_giou
from ...matching import Queries
from ...truth import GroundTruth, Matches
from ..box_branch import MemCNPBoxBranch, refine_boxes
from ..context import ContextModule
from .queries import QueryRules, contrast_between_frames

#: Where a row stands that has no mask: in no box.
NOWHERE = -1.
#: Numbers of a box that starts as its mask's stay that far from 0 and 1, where
#: the sigmoid that they go through would let it move no more.
MARGIN = 0.01


class RowBoxes(NamedTuple):
    """What MemCNP says about the rows of B frames.

    Attributes:
        z: (B, R, C), what the memory is read with.
        references: (B, R, 2), where the rows stand, x and y: the mean of
            their masks' pixels; ``NOWHERE`` of rows without a mask and of
            padded ones.
        boxes: (B, R, 4), means of the distributions, cx, cy, w, h.
        sigmas: (B, R, 4), their standard deviations, in the ``box_unit`` of
            the memory.
    """
    z: Tensor
    references: Tensor
    boxes: Tensor
    sigmas: Tensor


class RowContext(BaseModule):
    """Gives rows a context for their classes, and distributions of boxes.

    A row is what MemCNP calls a point or a query. It stands in the middle of
    its mask, and its box starts as that of its mask. What the memory returns
    for a row, times a gate a channel that starts at 0, is added to what its
    class is read from: at the start the host says what it would say without.

    Args:
        memory (ContextModule): Its contexts have C channels.
        embed_dims (int): C. Defaults to 256.

    Raises:
        ValueError: If the contexts have other channels.
    """

    def __init__(self, memory: ContextModule, embed_dims: int = 256) -> None:
        super().__init__()
        if memory.out_dims != embed_dims:
            raise ValueError(
                f'Contexts are added to rows of {embed_dims} channels but '
                f'have {memory.out_dims}: leave readout and hidden_dims of '
                'memcnp out.')
        self.memory = memory
        # One layer less than in a decoder: with it MemCNP would be larger
        # than the published numbers of parameters allow.
        self.box_branch = MemCNPBoxBranch(
            embed_dims, context_dims=embed_dims, own_readout=False,
            num_hidden=1)
        self.gate = nn.Parameter(torch.zeros(embed_dims))

    def forward(self, z: Tensor, masks: Tensor, sizes: Tensor,
                padded: Tensor) -> tuple[Tensor, RowBoxes]:
        """Read the memory.

        Args:
            z (Tensor): Shape (B, R, C), rows as the heads see them.
            masks (Tensor): Shape (B, R, h, w), logits of their masks.
            sizes (Tensor): Shape (B, 2), width and height of the frames
                without padding, in pixels.
            padded (Tensor): Shape (B, R) bool, rows that are none.

        Returns:
            tuple[Tensor, RowBoxes]: What is added to ``z`` where classes are
            read from it, (B, R, C), and the boxes.
        """
        context = self.memory.read(z)
        points, start = mask_places(masks, sizes)
        points = points.masked_fill(padded[..., None], NOWHERE)
        found = self.box_branch(z, context)
        assert found.sigma is not None
        return self.gate * context, RowBoxes(
            z, points, refine_boxes(found.delta, start.clamp(
                MARGIN, 1 - MARGIN)), found.sigma)

    def put_boxes(self, frame: FrameInstances, found: RowBoxes,
                  rows: Tensor) -> FrameInstances:
        """The instances of a frame with their boxes, and how unsure these
        are. An empty mask has an empty box, as in the plain host.

        Args:
            frame (FrameInstances): n instances.
            found (RowBoxes): Of this frame alone.
            rows (Tensor): Shape (n,) int64, the row of each.
        """
        corners = bbox_cxcywh_to_xyxy(found.boxes[0, rows])
        sigmas = found.sigmas[0, rows]
        shown = corners.clamp(0, 1).where(
            found.references[0, rows, :1] > NOWHERE, 0.)
        height, width = frame.meta['ori_shape'][:2]
        return replace(
            frame, sigmas=self.memory.frame_sigmas(sigmas, corners),
            boxes=shown * shown.new_tensor([width, height] * 2),
            uncertainties=sigmas.mean(-1))


@torch.no_grad()
def mask_places(masks: Tensor, sizes: Tensor,
                stride: int = 4) -> tuple[Tensor, Tensor]:
    """Where masks are.

    Args:
        masks (Tensor): Shape (B, R, h, w), logits; those of the padding do
            not count.
        sizes (Tensor): Shape (B, 2), width and height of the frames without
            padding, in pixels.
        stride (int): Pixels between logits. Defaults to 4.

    Returns:
        tuple[Tensor, Tensor]: The mean of the pixels (B, R, 2), ``NOWHERE``
        of an empty mask, and the tight boxes (B, R, 4), cx, cy, w, h, in the
        middle of the frame for an empty mask.
    """
    cells = sizes.float() / stride
    x, y = (torch.arange(side, device=masks.device)
            for side in masks.shape[:1:-1])
    # As floats: a CPU adds them up ten times as fast as bools.
    inside = (masks > 0).float()
    inside *= (x < cells[:, :1])[:, None, None]
    inside *= (y < cells[:, 1:])[:, None, :, None]
    lines = inside.sum(2), inside.sum(3)
    count = lines[0].sum(2, keepdim=True)
    # Sums of places do not fit half precision.
    with torch.autocast(masks.device.type, enabled=False):
        mean, low, high = zip(*(
            (line @ (place + .5),
             place.where(line > 0, len(place)).amin(2),
             (place + 1).where(line > 0, 0).amax(2))
            for line, place in zip(lines, (x, y), strict=True)), strict=True)
    middle = torch.stack(mean, -1) / count.clamp(min=1) / cells[:, None]
    boxes = torch.stack((*low, *high), -1) / cells.repeat(1, 2)[:, None]
    return (middle.clamp(max=1).where(count > 0, NOWHERE),
            bbox_xyxy_to_cxcywh(boxes.clamp(max=1)).where(count > 0, .5))


@MODELS.register_module()
class RowRules(QueryRules):
    """What MemCNP adds to the rules of training of a host with rows.

    The host keeps its one-to-one matching, by which a row stays the same
    object from frame to frame. Uncertainty sample selection (eq 15) adds rows
    to what trains the boxes and their distributions alone. Rows that are the
    same object in different frames are pulled together as they are.

    Args:
        assigner, loss, contrast: See :class:`QueryRules`.
    """

    def probabilities(self, logits: Tensor) -> Tensor:
        """See :class:`QueryRules`; the last logit is that of no object."""
        return logits.float().softmax(-1)[..., :-1]

    def losses(self, found: RowBoxes, logits: Tensor, best: Tensor,
               truth: GroundTruth, clips: int) -> dict[str, Tensor]:
        """Losses of the last layer's rows.

        Args:
            found (RowBoxes): Of T * B frames, those of one time together.
            logits (Tensor): Shape (T * B, R, K + 1).
            best (Tensor): Shape (T * B, G) int64, the row that the host gives
                to each object, -1 for none.
            truth (GroundTruth): Of the frames; an object has the same row in
                all frames of its clip.
            clips (int): B.

        Returns:
            dict[str, Tensor]: ``loss_cnp``, ``loss_giou`` and, with a
            contrast, ``loss_track``.
        """
        queries = Queries(*(x[None] for x in (
            logits, found.boxes, found.references, found.sigmas)))
        picked = self.assigner.match(queries, truth, matched=best[None])
        losses = self.box_losses(queries, picked, truth)
        losses['loss_giou'] = self._giou(found.boxes, picked, truth)
        if self.contrast is not None:
            losses['loss_track'] = contrast_between_frames(self.contrast, *(
                x.unflatten(0, (-1, clips)).transpose(0, 1)
                for x in (found.z, best, truth.ids)))
        return losses

    @staticmethod
    def _giou(boxes: Tensor, picked: Matches, truth: GroundTruth) -> Tensor:
        """Mean GIoU loss of the supports, over all ranks."""
        _, frame, row, gt = picked.pairs
        loss = 1 - aligned_giou(
            bbox_cxcywh_to_xyxy(boxes[frame, row]), truth.xyxy[frame, gt])
        count = reduce_mean(loss.new_tensor(float(len(loss))))
        return loss.sum() / count.clamp(min=1)
