"""VidEoMT: Your ViT is Secretly Also a Video Segmentation Model, CVPR 2026."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from torch import Tensor, nn

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ...results.saved_values import saveable
from ..matching import Queries
from ..memcnp import ContextModule
from ..memcnp.hosts.keys import row_key
from ..memcnp.hosts.rows import RowBoxes, RowContext, RowRules
from ..segmenters.eomt import STRIDE, FrameRows, FrameTokens
from ..segmenters.mask2former import FrameQueries
from ..truth import Matches
from ..truth.clip_truth import collect_clips
from .base import VIS, VISOptions
from .frame_training import layer_losses
from .row_scores import RowScores, check_num_shown
from .session import VideoMeta


@saveable
@dataclass
class VidEoMTState(RowScores):
    """A video's queries (1, Q, C), as the last block left them; None before
    its first frame."""
    queries: Tensor | None = None


@MODELS.register_module()
class VidEoMT(VIS[VidEoMTState, FrameTokens | Tensor]):
    """A plain ViT whose queries go on from frame to frame.

    The queries of a frame start from those that the frame before ended with,
    behind a linear layer, plus the learned ones. That is all the tracking:
    query n is identity n. In training an object keeps for the clip the query
    that fits best in the frame in which it is first seen; that query learns
    an empty mask where the object is absent.

    Args:
        segmenter (dict): :class:`EoMTSegmenter`; MinVIS trains it on frames.
        memcnp (dict, optional): MemCNP on the queries behind the last block,
            see ``row_key``. Defaults to None, the plain host.
        matcher (dict, optional): :class:`StickyMatcher`, for training.
        loss (dict, optional): Defaults to :class:`SampledMaskLoss`.
        num_shown (int, optional): See :class:`MinVIS`.
        kwargs: See :class:`VIS`.
    """
    default_ranking = dict(type='TopPairs')
    network_outputs = FrameRows

    def __init__(self,
                 *,
                 segmenter: dict,
                 memcnp: dict | None = None,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 num_shown: int | None = None,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        self.num_shown = check_num_shown(num_shown)
        self.segmenter = MODELS.build(segmenter)
        dims = self.segmenter.embed_dims
        self.query_updater = nn.Linear(dims, dims)
        self.memcnp_training: RowRules | None = None
        if memcnp:
            key = row_key(memcnp)
            self.segmenter.memcnp = RowContext(key.build(feat_dims=dims), dims)
            self.memcnp_training = MODELS.build(
                dict(type='RowRules', **key.training))
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))

    @property
    def memcnp(self) -> ContextModule | None:
        """The memory; None in a plain host."""
        own = self.segmenter.memcnp
        return None if own is None else own.memory

    def follow(self, frame: FrameTokens, before: Tensor | None
               ) -> list[FrameQueries]:
        """The next frame of B videos; see :meth:`EoMTSegmenter.decode`.

        Args:
            frame (FrameTokens): Of the B frames.
            before (Tensor, optional): Shape (B, Q, C), the queries as the
                frame before left them; None or zeros in the first one.
        """
        if before is None:
            return self.segmenter.decode(frame)
        known = (before != 0).flatten(1).any(1)[:, None, None]
        handed_on = self.query_updater(before).where(known, 0.)
        return self.segmenter.decode(
            frame, handed_on + self.segmenter.query.weight)

    def network(self, frames: Tensor | FrameTokens,
                sizes: Sequence[tuple[int, ...]] | Tensor,
                carried: Tensor | None = None) -> FrameRows:
        """See :meth:`VIS.network`; of frames or of what encode gave."""
        item: FrameTokens = self.segmenter.encode(frames) \
            if isinstance(frames, Tensor) else frames
        sizes = torch.as_tensor(sizes, device=item.tokens.device)
        return FrameRows.of(*self.segmenter.with_context(
            self.follow(item, carried)[-1], sizes.flip(1)))

    # -- training -----------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of all frames of clips: those of :func:`layer_losses`, with
        MemCNP also those of :meth:`RowRules.losses`.

        Raises:
            ValueError: If there is no matcher.
        """
        matcher = self.matcher
        if matcher is None:
            raise ValueError(
                'Training needs a matcher: set matcher in the config.')
        truth = collect_clips(data_samples, inputs.device, 1)
        clips, length = inputs.shape[:2]
        # Frame by frame, and the clips next to each other.
        order = torch.arange(clips * length, device=inputs.device)
        order = order.view(clips, length).T.flatten()
        taught = truth.frames(absent=True).take(order)
        layers = self.layers(inputs.flatten(0, 1)[order], clips)
        layers[-1], boxes = self.segmenter.with_context(
            layers[-1], truth.sizes.flatten(0, 1)[order])

        def match(queries: Queries) -> Matches:
            best = matcher.match_clips(queries, truth, taught)
            return Matches.of_objects(
                best.repeat(1, length, 1), queries.logits.shape[2])

        losses, matches = layer_losses(layers, match, self.frame_loss, taught)
        if boxes is None:
            return losses
        seen = truth.frames().take(order)
        assert self.memcnp and self.memcnp_training and \
            matches.best is not None
        losses.update(self.memcnp_training.losses(
            boxes, layers[-1].logits[-1],
            matches.best[-1].where(seen.valid, -1), seen, clips))
        # After all that reads the memory, on every rank.
        self.memcnp.write(boxes.z, boxes.references, seen.xyxy, seen.valid)
        return losses

    def layers(self, frames: Tensor, clips: int) -> list[FrameQueries]:
        """Predictions of each block with queries, of N clips; their frames
        (T * N, 3, H, W), those of one time together."""
        tokens = self.segmenter.encode(frames)
        times: list[list[FrameQueries]] = []
        for start in range(0, len(frames), clips):
            times.append(self.follow(
                tokens.frames(slice(start, start + clips)),
                times[-1][-1].hidden[-1] if times else None))
        return [FrameQueries.join(x) for x in zip(*times, strict=True)]

    # -- inference ----------------------------------------------------------
    def begin(self, video_meta: VideoMeta) -> VidEoMTState:
        """See :meth:`VIS.begin`."""
        return VidEoMTState()

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> Sequence[FrameTokens | Tensor]:
        """See :meth:`VIS.encode`: the blocks without queries."""
        if self.exported:  # as a whole, which advance runs
            return frames.split(1)
        found = self.segmenter.encode(frames)
        return [found.frames(slice(t, t + 1)) for t in range(len(frames))]

    def advance(self, state: VidEoMTState, item: FrameTokens | Tensor,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: every frame is settled at once."""
        found = self.look(item, [meta], state.queries)
        state.queries, logits = found.carried, found.logits[0].float()
        rows = torch.arange(len(logits), device=logits.device)
        frame = FrameInstances(
            rows, MaskSource(lambda some: found.masks(some)[0], meta,
                             'bilinear', stride=STRIDE), meta,
            logits=logits, shown=state.shown(logits, self.num_shown),
            keep_empty=False)
        if found.boxes is not None:
            frame = self.segmenter.memcnp.put_boxes(
                frame, RowBoxes(*found.boxes), rows)
        return [frame]

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N * T, Q, K + 1) and mask logits (N * T, Q, h, w) of
        frames as the first of their videos."""
        frames = inputs.flatten(0, 1)
        found = self.network(frames, [frames.shape[2:]] * len(frames))
        return found.logits, found.masks()
