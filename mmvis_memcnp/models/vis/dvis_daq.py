"""DVIS-DAQ: Improving Video Segmentation via Dynamic Anchor Queries.

Zhou et al., ECCV 2024. The training of what anchor_online.py follows;
dvis_daq_offline.py refines it.
"""
from __future__ import annotations

from typing import Unpack

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from torch import Tensor

from ..layers.schedule import phase
from ..losses import Learnt, join_rows, row_losses
from ..matching import Queries
from ..memcnp.hosts.keys import row_key
from ..memcnp.hosts.rows import NOWHERE, RowBoxes, RowRules
from ..segmenters.mask2former import FrameQueries
from ..trackers import AnchorTracks
from ..trackers.memories.base import row_sources
from ..truth import GroundTruth, Matches
from ..truth.clip_truth import collect_clips
from .anchor_online import AnchorOptions, AnchorVIS, best_score
from .arguments import needed


@MODELS.register_module()
class DVISDAQ(AnchorVIS):
    """Instances followed by a tracker on the queries of a frozen Mask2Former.

    The tracker learns on clips, in two stages. In the first one only matched
    rows go on to the next frame, and the half of them with the lower scores
    is left out, so that the objects have to be found anew. In the second one
    rows go on by their scores, as at inference, and of more than three
    objects that go on one is hidden from the slots, as if it had gone.

    Args:
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
        kwargs: See :class:`AnchorVIS`; ``memcnp`` has its rules of training.
    """

    def __init__(self,
                 *,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 num_frames: tuple[int, int] = (2, 5),
                 second_stage: int = 10000,
                 carry_thr: float = 0.02,
                 **kwargs: Unpack[AnchorOptions]) -> None:
        super().__init__(**kwargs)
        if min(num_frames) < 2:
            raise ValueError(f'num_frames is {num_frames}: slots learn from '
                             'the second frame on, so give at least 2.')
        self.num_frames = tuple(num_frames)
        self.second_stage = second_stage
        self.carry_thr = carry_thr
        self.stage = 0
        memcnp = kwargs.get('memcnp')
        self.memcnp_training: RowRules | None = MODELS.build(dict(
            type='RowRules', **row_key(memcnp).training)) if memcnp else None
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))

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
            slots have the prefix ``slot_``. With MemCNP also those of
            :meth:`RowRules.losses`.

        Raises:
            ValueError: If a clip has a single frame.
        """
        needed(self.matcher, 'matcher')
        clips, frames = inputs.shape[:2]
        if frames < 2:
            raise ValueError('The slots learn from the second frame of a clip '
                             'on: set num_frames of the clip sampler.')
        used = min(self.num_frames[self.stage], frames)
        start = int(torch.randint(frames - used + 1, ()))
        objects = collect_clips(data_samples, inputs.device, 1)
        inputs, sizes = (x[:, start:start + used].transpose(0, 1).flatten(0, 1)
                         for x in (inputs, objects.sizes))
        truth = objects.frames(by_time=True).take(
            slice(start * clips, (start + used) * clips))
        return self.clip_losses(self.segmenter(inputs), truth, clips, sizes)

    def clip_losses(self, found: FrameQueries, truth: GroundTruth, clips: int,
                    sizes: Tensor | None = None) -> dict[str, Tensor]:
        """Losses of encoded clips.

        Args:
            found (FrameQueries): Of T * N frames, those of one time together.
            truth (GroundTruth): Of the same; an object has the same row in
                all frames of its clip.
            clips (int): N.
            sizes (Tensor, optional): Shape (T * N, 2), width and height of
                the frames without padding, in pixels; for MemCNP alone.
        """
        rows, slots = zip(*self.follow(found, truth, clips, sizes),
                          strict=True)
        features = self.tracker.mask_proj(found.mask_features)
        losses = row_losses(self.frame_loss, rows, features, truth)
        of_slots = row_losses(self.frame_loss, slots[1:], features[clips:],
                              truth.take(slice(clips, None)))
        losses.update({f'slot_{n}': value for n, value in of_slots.items()})
        if self.memcnp is None or self.memcnp_training is None:
            return losses
        boxes = RowBoxes(*(
            join_rows([row.boxes[i] for row in rows], 1,
                      NOWHERE if name == 'references' else 0.)
            for i, name in enumerate(RowBoxes._fields)))
        losses.update(self.memcnp_training.losses(
            boxes, join_rows([row.logits[-1] for row in rows], 1),
            torch.cat([row.best for row in rows]), truth, clips))
        # After all that reads the memory, on every rank.
        self.memcnp.write(boxes.z, boxes.references, truth.xyxy, truth.valid)
        return losses

    def follow(self, found: FrameQueries, truth: GroundTruth,
               clips: int, sizes: Tensor | None = None
               ) -> list[tuple[Learnt, Learnt | None]]:
        """Follow clips by their objects.

        Args:
            found, truth, clips, sizes: See :meth:`clip_losses`.

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
            logits, embeds, masks, boxes = self.row_outputs(
                rows.hidden, frame, rows.padded,
                None if sizes is None else sizes[part])
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
                               rows.padded, boxes), slots))
            if part.stop >= len(truth.valid):
                break
            # Objects of all rows, those that are not here among them.
            count = logits.shape[2]
            learnt = Matches.of_objects(best, count).gt_index
            objects = learnt.where(
                learnt >= 0, F.pad(objects, (0, count - objects.shape[1]),
                                   value=-1))
            keep = self._keep(logits[-1].detach(), objects) & ~rows.padded
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
