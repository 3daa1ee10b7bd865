"""O2VIS: Occupancy-aware Object Association for Temporally Consistent Video
Instance Segmentation. ICLR 2025 submission; published as LOMM, ICCV 2025.
"""
from __future__ import annotations

from typing import Required, Unpack

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from torch import Tensor

from ..layers.schedule import phase
from ..matching import Queries
from ..segmenters.mask2former import FrameQueries
from ..trackers import TrackedFrame, reorder
from ..trackers.row_heads import RowHeads
from ..truth import ClipTruth, GroundTruth, Matches
from ..truth.clip_truth import collect_clips
from .arguments import needed
from .base import VISOptions
from .minvis import MinVIS


class MinVISOptions(VISOptions, total=False):
    """Arguments of :class:`MinVIS`."""
    segmenter: Required[dict]
    tracker: Required[dict]
    matcher: dict | None
    loss: dict | None
    loss_embed: dict | None
    num_shown: int | None


@MODELS.register_module()
class O2VIS(MinVIS):
    """Objects of a frozen Mask2Former, aligned by a tracker that learns.

    Row n of the tracker is identity n of the video. Each object of a clip
    has one row in all of its frames: that which fits best in the frame in
    which it is first seen. In early training the rows are put in the order of
    the segmenter's queries, matched by ``early``, and it is these queries
    that objects are given to (eqs 9 and 14).

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`, frozen.
        tracker (dict): :class:`OccupancyTracker` or
            :class:`ReferringTracker`.
        matcher (dict, optional): :class:`StickyMatcher`; only training needs
            it.
        early (dict, optional): :class:`RowTracker` of early training;
            None for a tracker that learns by its own order from the start.
        early_share (float): Part of the training that is early, in [0, 1].
            Defaults to 0.5.
        similarity_weight (float): Of the loss of similarities (eq 11). The
            higher, the more do objects resemble what is remembered of them,
            and new ones differ from what their row held. Defaults to 1.
        absent_as_no_object (bool): Whether the row of an object learns "no
            object" in frames where it is absent, so that the memory keeps it;
            False teaches its class there, as released. Defaults to True.
        kwargs: See :class:`MinVIS`.
    """

    def __init__(self,
                 *,
                 early: dict | None = None,
                 early_share: float = 0.5,
                 similarity_weight: float = 1.,
                 absent_as_no_object: bool = True,
                 **kwargs: Unpack[MinVISOptions]) -> None:
        super().__init__(**kwargs)
        if not isinstance(self.tracker, RowHeads):
            raise ValueError(
                f'{type(self.tracker).__name__} learns nothing: use type '
                "'MinVIS' for a model that is followed by it.")
        self.early = MODELS.build(early) if early else None
        self.early_share = early_share
        self.similarity_weight = similarity_weight
        self.absent_as_no_object = absent_as_no_object
        self.is_early = self.early is not None

    # -- training -----------------------------------------------------------
    def set_progress(self, iteration: int, max_iters: int) -> None:
        """Set the phase; see :class:`ProgressHook`."""
        self.is_early = self.early is not None and not phase(
            iteration, (self.early_share * max_iters, ))

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """See :meth:`VIS.loss`; of all rows of all frames.

        Returns:
            dict[str, Tensor]: See :meth:`SampledMaskLoss.forward`; those of
            what was there before (T_E) have the prefix ``existing_``; and
            ``loss_similarity``.
        """
        truth = collect_clips(data_samples, inputs.device, 1)
        # Frame by frame, and the clips next to each other.
        found = self.segmenter(inputs.transpose(0, 1).flatten(0, 1))
        return self.clip_losses(found, truth)

    def clip_losses(self, found: FrameQueries,
                    truth: ClipTruth) -> dict[str, Tensor]:
        """Losses of encoded clips.

        Args:
            found (FrameQueries): Of T * N frames, those of one time together.
            truth (ClipTruth): Of the N clips.
        """
        matcher = needed(self.matcher, 'matcher')

        def match(logits: Tensor, embeds: Tensor, features: Tensor,
                  own: GroundTruth) -> Tensor:
            return matcher.match_clips(
                Queries(logits, mask_embeds=embeds, mask_features=features),
                truth, own)

        frames = self.follow(found, len(truth.valid))
        gt, (seen, counted) = self.frame_truth(truth), existence(truth)
        features = self.tracker.mask_proj(found.mask_features)
        best: Tensor | None = None
        by_queries = self.is_early or frames[0].rows is None
        if by_queries:
            order = torch.cat([frame.order for frame in frames])
            logits, embeds = (reorder(x[-1], order)[None]
                              for x in (found.logits, found.mask_embeds))
            best = match(logits, embeds, found.mask_features, gt)
        losses: dict[str, Tensor] = {}
        for prefix, parts, own in (
                ('', [frame.rows for frame in frames], gt),
                ('existing_', [frame.existing for frame in frames],
                 existing_truth(gt, seen, self.no_object))):
            if parts[0] is None:
                continue
            _, logits, embeds = (
                torch.cat(x, 1) for x in zip(*parts, strict=True))
            if best is None:
                chosen = match(logits, embeds, features, own)
                best = chosen[-1:]
            elif by_queries:
                chosen = best.expand(len(logits), -1, -1)
            else:  # the result names the rows of the last layer
                chosen = torch.cat((
                    match(logits[:-1], embeds[:-1], features, own), best))
            matches = Matches.of_objects(
                chosen.repeat(1, len(frames), 1), logits.shape[2])
            losses.update({
                prefix + name: value for name, value in self.frame_loss(
                    logits, embeds, features, matches, own).items()})
        similar = [f.similarity for f in frames[1:]
                   if f.similarity is not None]
        if similar:
            assert best is not None
            losses['loss_similarity'] = self.similarity_weight * (
                similarity_loss(torch.stack(similar), best[-1], seen,
                                counted))
        return losses

    @property
    def no_object(self) -> int:
        """The label of none."""
        return self.tracker.cls_embed.out_features - 1

    def follow(self, found: FrameQueries, clips: int) -> list[TrackedFrame]:
        """Follow clips; see :meth:`clip_losses`."""
        frames, state = [], self.tracker.start()
        early = self.early.start() if self.early is not None else None
        for frame in found.split(clips):
            order = None
            if self.is_early:
                assert self.early is not None
                matched, early = self.early.step(
                    early, frame.queries[-1],
                    **frame.objects(self.early.needs_presence))
                order = matched.order
            tracked, state = self.track(state, frame, order)
            frames.append(tracked)
        return frames

    def frame_truth(self, truth: ClipTruth) -> GroundTruth:
        """Objects (N, G) of each of the T * N frames; those that are absent
        have an empty mask."""
        gt = truth.frames(absent=True, by_time=True)
        if not self.absent_as_no_object:
            return gt
        present = truth.present.permute(2, 0, 1).flatten(0, 1)
        return gt._replace(labels=gt.labels.where(present, self.no_object))


def existence(truth: ClipTruth) -> tuple[Tensor, Tensor]:
    """Which objects existed before a frame.

    Args:
        truth (ClipTruth): Of N clips of T frames.

    Returns:
        tuple[Tensor, Tensor]: Shape (T, N, G) bool, objects that were seen in
        an earlier frame; and those of whose similarity is learnt: the objects
        that are there.
    """
    present = truth.present.permute(2, 0, 1)
    seen = present.long().cumsum(0) - present.long() > 0
    return seen, present


def existing_truth(gt: GroundTruth, seen: Tensor,
                   no_object: int) -> GroundTruth:
    """What T_E learns: no object that is new (eq 10).

    Args:
        gt (GroundTruth): Of T * N frames, those of one time together.
        seen (Tensor): Shape (T, N, G) bool, see :func:`existence`. In the
            first frame everything is learnt.
        no_object (int): The label of none.
    """
    known = seen.clone()
    known[0] = True
    known = known.flatten(0, 1)
    return gt._replace(labels=gt.labels.where(known, no_object),
                       masks=gt.known_masks() & known[..., None, None])


def similarity_loss(similarity: Tensor, best: Tensor, seen: Tensor,
                    counted: Tensor) -> Tensor:
    """Objects resemble what is remembered of them, new ones do not (eq 11).

    Args:
        similarity (Tensor): Shape (T - 1, N, R), from the second frame on.
        best (Tensor): Shape (N, G) int64, row of each object, -1 for none.
        seen, counted (Tensor): Shape (T, N, G) bool, see :func:`existence`.

    Returns:
        Tensor: The mean squared errors of those that existed and of new ones,
        summed over the frames, divided by T; a mean over clips.
    """
    frames = len(seen)
    found = similarity.gather(
        2, best.clamp(min=0).expand(frames - 1, -1, -1))
    counted = counted & (best >= 0)
    total = found.new_zeros(())
    for kind, target in ((seen, 1.), (~seen, 0.)):
        who = (kind & counted)[1:].to(found)
        error = (who * (found - target)**2).sum(2)
        total = total + (error / who.sum(2).clamp(min=1)).sum(0).mean()
    return total / frames
