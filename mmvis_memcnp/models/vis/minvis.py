"""MinVIS: A Minimal Video Instance Segmentation Framework without
Video-based Training. Huang et al., NeurIPS 2022.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ...results.saved_values import saveable
from ..segmenters.mask2former import FrameQueries
from ..trackers import RowState, TrackedFrame, reorder
from ..trackers.row_heads import RowHeads
from .base import VIS, VISOptions
from .frame_training import frame_losses
from .row_scores import RowScores, check_num_shown
from .session import VideoMeta


@saveable
@dataclass
class MinVISState(RowScores):
    """What a video needs beside its frames.

    Attributes:
        rows: the tracker's state after the last frame, a value.
    """
    rows: RowState


@MODELS.register_module()
class MinVIS(VIS[MinVISState, FrameQueries]):
    """Mask2Former trained on single frames, its queries matched over time.

    Query n of the first frame is identity n of the video. The queries of
    each later frame are put in the order in which they resemble those of the
    frame before. All of them stay; their class logits, averaged over the
    video, say which are objects.

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`.
        tracker (dict): :class:`RowTracker`, or one that learns
            (:class:`O2VIS`).
        matcher (dict, optional): :class:`OneToOneMatcher`; only training
            needs it.
        loss (dict, optional): Defaults to :class:`SampledMaskLoss`.
        loss_embed (dict, optional): A :class:`ClipContrast` of embeddings,
            which makes queries of an object alike (O2VIS, eq 13). Without it,
            frames are learnt alone.
        num_shown (int, optional): Masks of a frame that are made, at least
            1: of the identities with the best class scores, in this frame or
            in the mean so far. Fewer are faster, but a track that becomes
            one of the best later has no masks before. Defaults to None, all
            of them, as published.
        kwargs: See :class:`VIS`.
    """
    default_ranking = dict(type='TopPairs')
    network_outputs = FrameQueries

    def __init__(self,
                 *,
                 segmenter: dict,
                 tracker: dict,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 loss_embed: dict | None = None,
                 num_shown: int | None = None,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        self.num_shown = check_num_shown(num_shown)
        self.segmenter = MODELS.build(segmenter)
        self.tracker = MODELS.build(tracker)
        # EoMT has no decoder of its own: its backbone makes the queries.
        dims = getattr(getattr(self.segmenter, 'decoder', self.segmenter),
                       'embed_dims', None)
        if dims and isinstance(self.tracker, RowHeads) and \
                self.tracker.layer_sizes[0] != dims:
            raise ValueError(
                f'embed_dims of the tracker is {self.tracker.layer_sizes[0]}, '
                f'but the queries that it reads have {dims} channels: set '
                f'tracker.embed_dims={dims}.')
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))
        self.loss_embed = MODELS.build(loss_embed) if loss_embed else None
        if loss_embed and self.segmenter.embed_head is None:
            raise ValueError('loss_embed contrasts embeddings: set '
                             'embed_dims of the segmenter.')

    # -- training -----------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of all frames of clips; see :func:`frame_losses`."""
        return frame_losses(inputs, data_samples, self.segmenter,
                            self.matcher, self.frame_loss, self.loss_embed)

    # -- inference ----------------------------------------------------------
    def begin(self, video_meta: VideoMeta) -> MinVISState:
        """See :meth:`VIS.begin`."""
        return MinVISState(self.tracker.start())

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[FrameQueries]:
        """See :meth:`VIS.encode`."""
        return self.look(frames, metas).split()

    def network(self, frames: Tensor,
                sizes: Sequence[tuple[int, ...]] | Tensor) -> FrameQueries:
        """See :meth:`VIS.network`."""
        return self.segmenter(frames)

    def advance(self, state: MinVISState, item: FrameQueries,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: every frame is settled at once."""
        tracked, state.rows = self.track(state.rows, item)
        if tracked.rows is None:
            logits, embeds = (reorder(x[-1], tracked.order)
                              for x in (item.logits, item.mask_embeds))
        else:
            logits, embeds = (x[-1] for x in tracked.rows[1:])
        logits = logits[0].float()
        features = self.tracker.mask_proj(item.mask_features)[0]

        def masks(rows: Tensor) -> Tensor:
            return torch.einsum('qd,dhw->qhw', embeds[0, rows], features)

        return [FrameInstances(
            torch.arange(len(logits), device=logits.device),
            MaskSource(masks, meta, 'bilinear', stride=4), meta,
            logits=logits, shown=state.shown(logits, self.num_shown),
            keep_empty=False)]

    def track(self, state: RowState, found: FrameQueries,
              order: Tensor | None = None) -> tuple[TrackedFrame, RowState]:
        """A step of the tracker with the queries of B frames; see there."""
        return self.tracker.step(
            state, found.queries[-1], found.hidden[-1], order=order,
            **found.objects(self.tracker.needs_presence))

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N * T, Q, K + 1) and mask logits (N * T, Q, h, w)."""
        found = self.segmenter(inputs.flatten(0, 1))
        return found.logits[-1], found.masks()
