"""InstanceFormer: queries that carry instances from frame to frame."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import WAYS_BACK, FrameMeta, MaskSource
from ...results.saved_values import saveable
from ..matching import Queries
from ..segmenters.deformable import (
    ClassHistory,
    DecodedFrames,
    DeformableSegmenter,
    EncodedFrames,
    MemoryTokens,
    ReferencePrior,
    input_hw,
)
from ..trackers.proposals import ProposalState, QueryProposals
from ..truth.clip_truth import ClipTruth, collect_clips
from ..truth.matches import Matches
from .base import VIS, VISOptions
from .session import VideoMeta


@saveable
class PropagatedState(NamedTuple):
    """What a frame hands to the next one, of B videos.

    Attributes:
        queries: (B, Q, C), last layer.
        points: (B, Q, 2), from :meth:`ReferencePrior.hand_on`.
        memory: tokens of the last frames; None without memory.
        history: class scores of the last frames; None without class prior.
    """
    queries: Tensor
    points: Tensor
    memory: MemoryTokens | None
    history: ClassHistory | None


class FrameQueries(NamedTuple):
    """Everything about the queries of a frame.

    Attributes:
        decoded: queries, references and boxes of L layers.
        logits: (L, B, Q, K) float32, with the class prior.
    """
    decoded: DecodedFrames
    logits: Tensor


@saveable
class WaitingFrame(NamedTuple):
    """A frame before its masks are made.

    Attributes:
        scores: (Q, K), in [0, 1].
        boxes: (Q, 4), xyxy as fractions of the frame.
        features: (1, 8, h, w), of the mask branch.
        queries: (Q, C), which the weights of the mask convolutions come from.
        points: (Q, 2), x, y as fractions of the frame.
        meta: sizes of the frame.
    """
    scores: Tensor
    boxes: Tensor
    features: Tensor
    queries: Tensor
    points: Tensor
    meta: FrameMeta


@saveable
@dataclass
class VideoState:
    """A video that InstanceFormer follows; it does not grow.

    Attributes:
        propagated: what the next frame gets; None before the first.
        proposals: the instances, and the frames before they are chosen.
    """
    propagated: PropagatedState | None = None
    proposals: ProposalState[WaitingFrame] = field(
        default_factory=ProposalState)


@MODELS.register_module()
class InstanceFormer(VIS[VideoState, tuple[EncodedFrames, Tensor]]):
    """Online VIS by propagated priors and a memory (Koner et al., 2022).

    A query is an instance for the whole video: its representation, its
    reference point and its class scores go from frame to frame, and it looks
    into a memory of the last frames. There is nothing to associate.

    Args:
        segmenter: a :class:`DeformableSegmenter` with an
            :class:`InstanceFormerDecoder`; ``with_memory`` of that follows
            from ``memory``.
        reference_prior: arguments of :class:`ReferencePrior`.
        class_prior: a :class:`ClassPrior`, or None.
        memory: a :class:`TokenMemory`, or None.
        matcher: a :class:`StickyMatcher`; only training needs it.
        frame_loss: a :class:`QueryLoss`.
        contrast: a :class:`TemporalContrastiveLoss`, or None.
        num_proposals: see :class:`QueryProposals`. The identity of an
            instance is the number of its query.
        proposal_frames: the same; results of these frames come with the last
            of them.
        mask_way: how masks go back to pixels: ``'resample'``, or
            ``'stretch'`` as released; see ``results/pixels.py``.
        kwargs: see :class:`VIS`.

    Raises:
        ValueError: if ``contrast`` is asked for without ``memory``, whose
            tokens it compares, or a number is below 1.
    """

    default_ranking = dict(type='MeanQuery')

    def __init__(self,
                 *,
                 segmenter: dict,
                 reference_prior: dict | None = None,
                 class_prior: dict | None = None,
                 memory: dict | None = None,
                 matcher: dict | None = None,
                 frame_loss: dict | None = None,
                 contrast: dict | None = None,
                 num_proposals: int = 50,
                 proposal_frames: int = 3,
                 mask_way: str = 'resample',
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        self.proposals = QueryProposals(num_proposals, proposal_frames)
        if mask_way not in WAYS_BACK:
            raise ValueError(f'mask_way must be one of {sorted(WAYS_BACK)}, '
                             f'got {mask_way!r}.')
        self.mask_way = mask_way
        if contrast is not None and memory is None:
            raise ValueError('The temporal contrast compares the tokens of '
                             'the memory: give the model a memory or set '
                             'contrast=None.')
        self.segmenter: DeformableSegmenter = MODELS.build(
            dict(segmenter, decoder=dict(
                segmenter['decoder'], with_memory=memory is not None)))
        channels = self.segmenter.class_channels
        self.reference_prior = ReferencePrior(
            self.segmenter.dims, **(reference_prior or {}))
        self.class_prior = None if class_prior is None else MODELS.build(
            dict(class_prior, num_classes=channels,
                 num_layers=self.segmenter.num_layers))
        self.memory = None if memory is None else MODELS.build(
            dict(memory, num_classes=channels,
                 embed_dims=self.segmenter.dims))
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(frame_loss or dict(type='QueryLoss'))
        self.contrast = None if contrast is None else MODELS.build(contrast)

    # -- frames -----------------------------------------------------------
    def decode(self,
               encoded: EncodedFrames,
               state: PropagatedState | None,
               span: int | None = None) -> FrameQueries:
        """Queries of the next frame of each of B videos.

        Args:
            encoded: B frames.
            state: from the frames before; None in the first one.
            span: see :meth:`TokenMemory.read`.
        """
        start, place = self.segmenter.query_start()
        position = place.expand(len(encoded.memory), -1, -1)
        content = (start.expand_as(position) if state is None else
                   state.queries)
        reference = self.reference_prior(
            self.segmenter.reference_points, content, position,
            None if state is None else state.points)
        memory = None
        if self.memory is not None and state is not None:
            memory = self.memory.read(state.memory, place, span)
        decoded = self.segmenter.decoder(
            content, position, reference, encoded, memory,
            self.segmenter.boxes_by(None))
        logits = self.segmenter.class_logits(decoded.queries)
        if self.class_prior is not None:
            history = None if state is None else state.history
            logits = torch.stack([self.class_prior(layer, x, history)
                                  for layer, x in enumerate(logits)])
        return FrameQueries(decoded, logits)

    def propagate(self,
                  frame: FrameQueries,
                  state: PropagatedState | None,
                  matched: Tensor | None = None) -> PropagatedState:
        """What the next frame gets.

        Args:
            frame: from :meth:`decode`.
            state: what that frame got.
            matched: (B, Q) bool, queries of objects, in training.
        """
        queries, logits = frame.decoded.queries[-1], frame.logits[-1]
        memory = history = None
        if self.memory is not None:
            memory = self.memory.push(
                None if state is None else state.memory,
                self.memory.select(logits, matched), queries, logits,
                frame.decoded.boxes[-1])
        if self.class_prior is not None:
            history = self.class_prior.remember(
                logits, None if state is None else state.history)
        points = self.reference_prior.hand_on(frame.decoded)
        return PropagatedState(queries, points, memory, history)

    def mask_logits(self, features: Tensor, frame: FrameQueries,
                    where: tuple[Tensor, Tensor, Tensor],
                    sizes: Tensor) -> Tensor:
        """Masks of P queries.

        Args:
            features: (B, 8, h, w).
            frame: from :meth:`decode`.
            where: layer, clip and query of each, (P,) int64.
            sizes: (B, 2), width and height of the frames without padding.

        Returns:
            (P, 2h, 2w) float32 logits.
        """
        points = torch.stack([r[..., :2] for r in frame.decoded.references])
        clips = where[1]
        return self.segmenter.mask_logits(
            features, frame.decoded.queries[where],
            points[where] * sizes[clips], clips)

    # -- training ---------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of clips, a frame after the other, through time.

        Args:
            inputs: (B, T, 3, H, W).
            data_samples: B clips with ground truth.
        """
        if self.matcher is None:
            raise ValueError('Training needs a matcher: set matcher in the '
                             'config.')
        # An absent object is to get a box of next to no size.
        truth = collect_clips(data_samples, inputs.device,
                              self.segmenter.mask_stride, absent_box=1e-6)
        encoded = self.segmenter.encode_frames(
            inputs.flatten(0, 1), [f.img_shape for s in data_samples
                                   for f in s.video_data_samples])
        return self.clip_losses(encoded, self.segmenter.mask_features(encoded),
                                truth)

    def clip_losses(self, encoded: EncodedFrames, features: Tensor,
                    truth: ClipTruth) -> dict[str, Tensor]:
        """Losses of B clips of T frames.

        Args:
            encoded: B * T frames, those of a clip one after the other.
            features: mask features of the same frames.
            truth: of the clips.
        """
        batch, _, length = truth.present.shape
        assert self.matcher is not None
        taught, held = self.matcher.taught(truth), None
        # The mean over the ranks, as in DETR.
        count = reduce_mean(truth.valid.sum().float()).clamp(min=1)
        state = None
        sums: dict[str, Tensor] = {}
        tokens, objects = [], []
        first = torch.arange(batch, device=features.device) * length
        for t in range(length):
            frame = self.decode(encoded.select(first + t), state, span=length)
            now = truth.frame(t)
            held = self.matcher.match(self.queries(frame), now, taught[t],
                                      held)
            known = held.to(features.device)
            losses = self.frame_losses(
                frame, features[first + t],
                held.only(taught[t]).to(features.device), known, now)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.) + value / (length * count)
            own = known.gt_index[-1]
            state = self.propagate(frame, state, own >= 0)
            if self.contrast is not None and state.memory is not None:
                index = state.memory.sources[:, -1]
                tokens.append(state.queries.gather(1, index[..., None].expand(
                    -1, -1, state.queries.shape[-1])))
                objects.append(own.gather(1, index))
        out = self.frame_loss.weighted(sums)
        if self.contrast is not None:
            out['loss_contrast'] = self.contrast(
                torch.cat(tokens, 1), torch.cat(objects, 1))
        return out

    def queries(self, frame: FrameQueries) -> Queries:
        """What the layers say, as the matcher sees it."""
        return Queries(self.segmenter.of_classes(frame.logits),
                       frame.decoded.boxes)

    def frame_losses(self, frame: FrameQueries, features: Tensor,
                     shown: Matches, known: Matches,
                     truth: ClipTruth) -> dict[str, Tensor]:
        """Sums of the losses of a frame, (L,) each.

        Args:
            frame: from :meth:`decode`.
            features: (B, 8, h, w).
            shown: of the objects that this frame teaches.
            known: of all objects so far. One that is out of sight has an
                empty mask.
            truth: of this frame; see :meth:`ClipTruth.frame`.
        """
        layers = len(frame.logits)
        masks = self.mask_logits(features, frame, known.where, truth.sizes)
        cls = self.frame_loss.classes(
            frame.logits, truth.labels + self.segmenter.class_offset,
            shown)
        bbox, giou = self.frame_loss.boxes(frame.decoded.boxes, truth, shown)
        mask, dice = self.frame_loss.masks(masks, truth.masks, known, layers)
        return dict(loss_cls=cls, loss_bbox=bbox, loss_giou=giou,
                    loss_mask=mask, loss_dice=dice)

    # -- inference --------------------------------------------------------
    def begin(self, video_meta: VideoMeta) -> VideoState:
        """See :meth:`VIS.begin`."""
        return VideoState()

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[tuple[EncodedFrames, Tensor]]:
        """See :meth:`VIS.encode`."""
        return self.segmenter.items(frames, metas)

    def advance(self, state: VideoState, item: tuple[EncodedFrames, Tensor],
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`.

        The first frames are held back until the instances are chosen.
        """
        encoded, features = item
        frame = self.decode(encoded, state.propagated)
        state.propagated = self.propagate(frame, state.propagated)
        scores = self.segmenter.of_classes(frame.logits[-1, 0]).sigmoid()
        return self._settle(state, self.proposals.step(
            state.proposals, scores, WaitingFrame(
                scores, bbox_cxcywh_to_xyxy(frame.decoded.boxes[-1, 0]),
                features, frame.decoded.queries[-1, 0],
                frame.decoded.references[-1][0, :, :2], meta)))

    def drain(self, state: VideoState) -> list[FrameInstances]:
        """See :meth:`VIS.drain`."""
        return self._settle(state, self.proposals.flush(state.proposals))

    def _settle(self, state: VideoState,
                frames: list[WaitingFrame]) -> list[FrameInstances]:
        """What frames say, now that the instances are chosen."""
        return [self._instances(frame, state.proposals.chosen)
                for frame in frames if state.proposals.chosen is not None]

    def lazy_masks(self, frame: WaitingFrame, query: Tensor) -> Tensor:
        """Mask logits (n, 2h, 2w) of queries (n,) of a frame."""
        size = query.new_tensor(frame.meta['img_shape'][1::-1])
        return self.segmenter.mask_logits(
            frame.features, frame.queries[query], frame.points[query] * size,
            torch.zeros_like(query))

    def _instances(self, frame: WaitingFrame,
                   chosen: Tensor) -> FrameInstances:
        """What a frame says about the chosen queries."""
        height, width = frame.meta['ori_shape'][:2]
        size = frame.boxes.new_tensor([width, height, width, height])

        return FrameInstances(
            chosen,
            MaskSource(lambda rows: self.lazy_masks(frame, chosen[rows]),
                       frame.meta, self.mask_way, self.segmenter.mask_stride),
            frame.meta,
            class_scores=frame.scores[chosen],
            boxes=frame.boxes[chosen].clamp(0, 1) * size,
            keep_empty=False)

    def _forward(self, inputs: Tensor) -> FrameQueries:
        """Queries of every frame alone: (N, T, ...) is N * T frames."""
        frames = inputs.flatten(0, 1)
        return self.decode(self.segmenter.encode_frames(
            frames, [input_hw(frames)] * len(frames)), None)

