"""DVIS-DAQ: Improving Video Segmentation via Dynamic Anchor Queries.

Zhou et al., ECCV 2024. The online system, without the offline refiner.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ..layers.schedule import phase
from ..matching import Queries
from ..segmenters.mask2former import FrameQueries
from ..trackers import AnchorRows, AnchorTracks
from ..trackers.memories.base import row_sources
from ..truth import GroundTruth, Matches
from ..truth.clip_truth import collect_clips
from .base import VIS, VISOptions
from .session import VideoMeta


@dataclass
class DVISDAQState:
    """What a video needs beside its frames.

    Attributes:
        tracks: the M instances that are followed, None before the first
            frame.
        ids: (M,) int64, their identities.
        missed: (M,) int64, frames in a row in which each was not found.
        count: () int64, identities so far.
    """
    tracks: AnchorTracks | None = None
    ids: Tensor | None = None
    missed: Tensor | None = None
    count: Tensor | None = None


class Learnt(NamedTuple):
    """What the loss takes of the rows of B frames.

    Attributes:
        logits: (L, B, R, K + 1).
        mask_embeds: (L, B, R, D).
        best: (B, G) int64, the row of each object, -1 for none.
        counted: (B, G) bool, objects that the masks' losses are divided by
            the number of: those with a row, and those that go on unseen.
        padded: (B, R) bool, rows that learn nothing.
    """
    logits: Tensor
    mask_embeds: Tensor
    best: Tensor
    counted: Tensor
    padded: Tensor


@MODELS.register_module()
class DVISDAQ(VIS[DVISDAQState, FrameQueries]):
    """Instances followed by a tracker on the queries of a frozen Mask2Former.

    The tracker learns on clips, in two stages. In the first one only matched
    rows go on to the next frame, and the half of them with the lower scores
    is left out, so that the objects have to be found anew. In the second one
    rows go on by their scores, as at inference, and of more than three
    objects that go on one is hidden from the slots, as if it had gone.

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`, frozen.
        tracker (dict): :class:`AnchorTracker`.
        matcher (dict, optional): :class:`OneToOneMatcher`; only training
            needs it.
        loss (dict, optional): Of rows and of slots; defaults to
            :class:`SampledMaskLoss`.
        num_frames (tuple[int, int]): Consecutive frames of a clip that are
            used in each stage, at least 2. Defaults to (2, 5).
        second_stage (int): Its first iteration. Defaults to 10000.
        carry_thr (float): Rows whose class scores exceed it go on in the
            second stage; a higher one follows fewer, which is faster.
            Defaults to 0.02.
        start_thr (float): Class scores of the first frame's queries above it
            begin an instance. A higher one follows fewer. Defaults to 0.01.
        score_thr (float): Class scores of rows above it begin an instance or
            find it again. A higher one follows fewer. Defaults to 0.01.
        slot_thr (float, optional): An instance is found only if the score of
            its slot is above it, too; a higher one ends more of them.
            Defaults to None, slots are not computed.
        max_missing (int): An instance that was not found in so many frames in
            a row has ended. Defaults to 8.
        kwargs: See :class:`VIS`.
    """
    default_ranking = dict(type='TopPairs', num_pairs=20)

    def __init__(self,
                 *,
                 segmenter: dict,
                 tracker: dict,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 num_frames: tuple[int, int] = (2, 5),
                 second_stage: int = 10000,
                 carry_thr: float = 0.02,
                 start_thr: float = 0.01,
                 score_thr: float = 0.01,
                 slot_thr: float | None = None,
                 max_missing: int = 8,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        if min(num_frames) < 2:
            raise ValueError(f'num_frames is {num_frames}: slots learn from '
                             'the second frame on, so give at least 2.')
        self.num_frames = tuple(num_frames)
        self.second_stage = second_stage
        self.carry_thr = carry_thr
        self.stage = 0
        self.segmenter = MODELS.build(segmenter)
        self.tracker = MODELS.build(tracker)
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))
        self.start_thr = start_thr
        self.score_thr = score_thr
        self.slot_thr = slot_thr
        self.max_missing = max_missing

    def rows(self,
             tracks: AnchorTracks | None,
             frame: FrameQueries,
             with_slots: bool,
             hidden: Tensor | None = None) -> AnchorRows:
        """Rows of the next frame of B videos.

        Args:
            tracks (AnchorTracks, optional): None in the first frame.
            frame (FrameQueries): Of the B frames.
            with_slots (bool): From the second frame on.
            hidden (Tensor, optional): See :class:`AnchorTracker`.
        """
        positions = None if tracks is None else self.tracker.anchors(
            frame.masks(), frame.mask_features)
        learned = self.segmenter.decoder.query_feat.weight
        return self.tracker(tracks, frame.queries[-1], positions,
                            learned if with_slots else None, hidden)

    # -- training -----------------------------------------------------------
    def set_progress(self, iteration: int, max_iters: int) -> None:
        """Set the stage; see :class:`ProgressHook`."""
        self.stage = phase(iteration, (self.second_stage, ))

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of all rows, and of all slots from the second frame on.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W), T >= 2.
            data_samples (list[TrackDataSample]): Annotated frames.

        Returns:
            dict[str, Tensor]: See :meth:`SampledMaskLoss.forward`; layer 0
            of the rows is before the first layer of the tracker. Those of the
            slots have the prefix ``slot_``.

        Raises:
            ValueError: If a clip has a single frame.
        """
        if self.matcher is None:
            raise ValueError(
                'Training needs a matcher: set matcher in the config.')
        clips, frames = inputs.shape[:2]
        if frames < 2:
            raise ValueError('The slots learn from the second frame of a clip '
                             'on: set num_frames of the clip sampler.')
        used = min(self.num_frames[self.stage], frames)
        start = int(torch.randint(frames - used + 1, ()))
        truth = collect_clips(data_samples, inputs.device, 1).frames()
        # Frame by frame, and the clips next to each other.
        order = torch.arange(clips * frames, device=inputs.device)
        order = order.view(clips, frames)[:, start:start + used].T.flatten()
        found = self.segmenter(inputs.flatten(0, 1)[order])
        return self.clip_losses(
            found, truth.take(order), clips)

    def clip_losses(self, found: FrameQueries, truth: GroundTruth,
                    clips: int) -> dict[str, Tensor]:
        """Losses of encoded clips.

        Args:
            found (FrameQueries): Of T * N frames, those of one time together.
            truth (GroundTruth): Of the same; an object has the same row in
                all frames of its clip.
            clips (int): N.
        """
        rows, slots = zip(*self.follow(found, truth, clips), strict=True)
        features = self.tracker.mask_proj(found.mask_features)
        losses = self._losses(rows, features, truth)
        losses.update({f'slot_{name}': value for name, value in self._losses(
            slots[1:], features[clips:],
            truth.take(slice(clips, None))).items()})
        return losses

    def _losses(self, learnt: Sequence[Learnt], features: Tensor,
                truth: GroundTruth) -> dict[str, Tensor]:
        """Losses of the rows of all frames at once, padded alike."""
        most = max(frame.padded.shape[1] for frame in learnt)

        def pad(name: str, axis: int, value: float = 0.) -> Tensor:
            return torch.cat([F.pad(
                x, (0, 0) * (x.dim() - 1 - axis) + (0, most - x.shape[axis]),
                value=value) for x in (getattr(f, name) for f in learnt)],
                axis - 1)

        logits, embeds = pad('logits', 2), pad('mask_embeds', 2)
        best = torch.cat([frame.best for frame in learnt])
        matches = Matches.of_objects(
            best.expand(len(logits), -1, -1), most)
        matches = replace(matches, ignored=pad('padded', 1, True).expand(
            len(logits), -1, -1))
        counted = torch.cat([frame.counted for frame in learnt])
        return self.frame_loss(logits, embeds, features, matches,
                               truth._replace(valid=counted))

    def follow(self, found: FrameQueries, truth: GroundTruth,
               clips: int) -> list[tuple[Learnt, Learnt | None]]:
        """Follow clips by their objects.

        Args:
            found, truth, clips: See :meth:`clip_losses`.

        Returns:
            list[tuple[Learnt, Learnt | None]]: Rows and slots of each time;
            no slots at the first.
        """
        out: list[tuple[Learnt, Learnt | None]] = []
        tracks: AnchorTracks | None = None
        objects = truth.labels.new_zeros(clips, 0)
        for start in range(0, len(truth.valid), clips):
            part = slice(start, start + clips)
            frame = found.frames(part)
            gt = truth.take(part)
            # The row of each object that goes on, where it goes on.
            held, carried = row_sources(objects, gt.valid.shape[1])
            gone, hidden = self._pretend_gone(frame, gt, carried)
            rows = self.rows(tracks, frame, True, hidden)
            logits, embeds = self.tracker.predict(rows.hidden)
            best = self._match(frame, logits, embeds, gt, carried, tracks)
            best = held.where(carried & gt.valid, best)
            slots = None
            if tracks is not None and rows.slots is not None:
                there = carried & gt.valid & ~gone
                slot_logits, slot_embeds = self.tracker.predict(rows.slots)
                slots = Learnt(
                    slot_logits, slot_embeds, held.where(there, -1), carried,
                    F.pad(rows.padded[:, :len(tracks)],
                          (0, rows.slots.shape[2] - len(tracks))))
            out.append((Learnt(logits, embeds, best, carried | (best >= 0),
                               rows.padded), slots))
            if part.stop >= len(truth.valid):
                break
            # Objects of all rows, those that are not here among them.
            count = logits.shape[2]
            learnt = Matches.of_objects(best, count).gt_index
            objects = learnt.where(
                learnt >= 0, F.pad(objects, (0, count - objects.shape[1]),
                                   value=-1))
            keep = self._keep(logits[-1].detach(), objects) & ~rows.padded
            with torch.no_grad():
                masks = torch.einsum(
                    'bqd,bdhw->bqhw', embeds[-1],
                    self.tracker.mask_proj(frame.mask_features))
            tracks, source = self.tracker.carry(
                tracks, rows, self.tracker.anchors(
                    masks, frame.mask_features), keep)
            objects = F.pad(objects, (0, 1), value=-1).gather(1, source)
        return out

    def _match(self, frame: FrameQueries, logits: Tensor, embeds: Tensor,
               gt: GroundTruth, carried: Tensor,
               tracks: AnchorTracks | None) -> Tensor:
        """Rows (B, G) of the objects that appear, -1 of others: in the first
        frame by the segmenter's predictions, then new instances by their
        own."""
        assert self.matcher is not None
        features = frame.mask_features
        if tracks is None:
            logits, embeds = frame.logits, frame.mask_embeds
        else:
            features = self.tracker.mask_proj(features)
        held = 0 if tracks is None else len(tracks)
        best = self.matcher.match(
            Queries(logits[-1:, :, held:], mask_embeds=embeds[-1:, :, held:],
                    mask_features=features),
            gt._replace(valid=gt.valid & ~carried)).best[0]
        return (best + held).where(best >= 0, -1)

    def _keep(self, logits: Tensor, objects: Tensor) -> Tensor:
        """Rows (B, R) bool that go on, by logits (B, R, K + 1) and objects
        (B, R)."""
        scores = best_score(logits)
        if self.stage:
            return scores > self.carry_thr
        matched = objects >= 0
        rank = scores.masked_fill(~matched, -1.).argsort(
            dim=1, descending=True, stable=True).argsort(dim=1)
        count = matched.sum(1, keepdim=True)
        return matched & (rank < count - count // 2)

    @torch.no_grad()
    def _pretend_gone(self, frame: FrameQueries, gt: GroundTruth,
                      carried: Tensor) -> tuple[Tensor, Tensor | None]:
        """Choose an object of each clip with more than three, for the slots.

        Returns:
            tuple[Tensor, Tensor | None]: (B, G) bool, the object; and (B, N)
            bool, the frame's queries whose nearest object it is.
        """
        gone = torch.zeros_like(carried)
        if not self.stage:
            return gone, None
        assert self.matcher is not None
        here = carried & gt.valid
        draw = torch.rand(here.shape, device=here.device).masked_fill(
            ~here, -1.)
        gone = gone.scatter(1, draw.argmax(1, keepdim=True), True)
        gone &= carried.sum(1, keepdim=True) > 3
        gone &= here
        cost = self.matcher.cost(
            Queries(frame.logits, mask_embeds=frame.mask_embeds,
                    mask_features=frame.mask_features), gt)[-1]
        nearest = cost.masked_fill(~gt.valid[:, None], torch.inf).argmin(2)
        return gone, gone.gather(1, nearest)

    # -- inference ----------------------------------------------------------
    def begin(self, video_meta: VideoMeta) -> DVISDAQState:
        """See :meth:`VIS.begin`."""
        return DVISDAQState()

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[FrameQueries]:
        """See :meth:`VIS.encode`."""
        found = self.segmenter(frames)
        return [found.frames(slice(t, t + 1)) for t in range(len(frames))]

    def advance(self, state: DVISDAQState, item: FrameQueries,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: every frame is settled at once."""
        rows = self.rows(state.tracks, item, self.slot_thr is not None)
        logits, embeds = self.tracker.predict(rows.hidden[-1])
        masks = torch.einsum('bqd,bdhw->bqhw', embeds,
                             self.tracker.mask_proj(item.mask_features))
        seen = best_score(logits) > self.score_thr
        missed = torch.zeros(logits.shape[1], dtype=torch.long,
                             device=logits.device)
        ids, count = missed[:0], missed.new_zeros(())
        if state.tracks is None:
            seen = best_score(item.logits[-1]) > self.start_thr
        else:
            assert (state.ids is not None and state.missed is not None
                    and state.count is not None)
            ids, count = state.ids, state.count
            if self.slot_thr is not None:
                assert rows.slots is not None
                there = best_score(self.tracker.predict(
                    rows.slots[-1, :, :len(ids)])[0]) > self.slot_thr
                seen[:, :len(ids)] &= there
            missed[:len(ids)] = (state.missed + 1) * ~seen[0, :len(ids)]
        keep = seen.clone()
        keep[:, :len(ids)] = missed[:len(ids)] < self.max_missing
        new = keep[0, len(ids):]
        anchors = self.tracker.anchors(masks, item.mask_features)
        state.tracks, source = self.tracker.carry(
            state.tracks, rows, anchors, keep, seen)
        kept = source[0]
        state.ids = torch.cat((ids, count + new.cumsum(0) - 1))[kept]
        state.missed, state.count = missed[kept], count + new.sum()
        return [FrameInstances(
            state.ids, MaskSource(masks[0, kept], meta, 'bilinear', stride=4),
            meta, logits=logits[0, kept].float())]

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N * T, Q, K + 1) and mask logits (N * T, Q, h, w) of
        frames as the first of their videos."""
        found = self.segmenter(inputs.flatten(0, 1))
        logits, embeds = self.tracker.predict(
            self.rows(None, found, False).hidden[-1])
        return logits, torch.einsum(
            'bqd,bdhw->bqhw', embeds,
            self.tracker.mask_proj(found.mask_features))


def best_score(logits: Tensor) -> Tensor:
    """Probability (...) of the best class, of logits (..., K + 1)."""
    return logits.float().softmax(-1)[..., :-1].amax(-1)
