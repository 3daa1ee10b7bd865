"""Tracker that combines appearance, score, overlap and class."""
from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.saved_values import saveable
from .base import DetectionTracker, TrackState
from .memories.base import row_sources, take_rows


@saveable
@dataclass(frozen=True)
class CueState(TrackState):
    """With what else is compared of the M objects.

    Attributes:
        boxes: (M, 4) xyxy of the last detection, in its units.
        labels: (M,) int64 of the first detection.
    """
    boxes: Tensor | None = None
    labels: Tensor | None = None


@MODELS.register_module()
class CueTracker(DetectionTracker[CueState]):
    """Each detection chooses the object it scores best for, or a new one.

    An object goes to the detection with the largest score among those that
    chose it, the first of them where they are equal; the others get none. The
    result's ``scores`` are (n, 1 + M), column 0 a new object. Embedding and
    box of an object are those of its last detection, the label that of its
    first, as published. Source: Yang et al., Video Instance Segmentation,
    ICCV 2019 (MaskTrack R-CNN); SipMask takes it over.

    Args:
        association (dict): Scores detections against objects and a new one,
            (n, 1 + M) (TASK_UTILS).
        memory (dict): A :class:`~.memories.base.Memory` (TASK_UTILS).
        max_gap (int, optional): See :class:`DetectionTracker`. Defaults to
            None.
        max_tracks (int, optional): See :class:`DetectionTracker`. Defaults
            to None.
    """

    # A score at or below this finds no object, as published.
    MIN_SCORE = -100.

    def start(self) -> CueState:
        """See :meth:`DetectionTracker.start`."""
        return CueState(self.memory.start())

    def compare(self, state: CueState, detections: InstanceData) -> Tensor:
        """Association scores (n, 1 + M)."""
        if not len(state):
            return detections.scores.new_zeros(
                (len(detections), 1), dtype=torch.float32)
        objects = InstanceData(
            embeds=self.memory.read(state.memory)[0], bboxes=state.boxes,
            labels=state.labels)
        return self.association(objects, detections)

    def decide(self, state: CueState, scores: Tensor,
               confidence: Tensor) -> Tensor:
        """Every detection its best column, every object its best detection."""
        if not len(scores):
            return torch.zeros(0, dtype=torch.long)
        best, column = scores.max(dim=1)
        chosen = column[:, None] == torch.arange(scores.shape[1])
        rivals = torch.where(chosen, best[:, None], -torch.inf)
        first = rivals.argmax(0)[column] == torch.arange(len(column))
        rows = torch.where(first & (best > self.MIN_SCORE), column - 1, -1)
        return rows.masked_fill(column == 0, len(state))

    def remember(self, state: CueState, detections: InstanceData,
                 rows: Tensor, started: int) -> CueState:
        """Boxes and labels beside what the base remembers."""
        boxes, labels = detections.bboxes, detections.labels
        source, written = row_sources(
            rows.to(boxes.device, non_blocking=True)[None],
            len(state) + started)
        new_boxes = take_rows(boxes[None], source)[0]
        new_labels = take_rows(labels[None], source)[0]
        if state.boxes is not None and state.labels is not None:
            old = len(state)
            kept = torch.where(written[0, :old, None], new_boxes[:old],
                               state.boxes.to(new_boxes))
            new_boxes = torch.cat((kept, new_boxes[old:]))
            new_labels = torch.cat((state.labels, new_labels[old:]))
        state = super().remember(state, detections, rows, started)
        return replace(state, boxes=new_boxes, labels=new_labels)

    def select(self, state: CueState, kept: Tensor) -> CueState:
        """Boxes and labels beside what the base selects."""
        assert state.boxes is not None and state.labels is not None
        rows = kept.to(state.boxes.device, non_blocking=True)
        return replace(super().select(state, kept), boxes=state.boxes[rows],
                       labels=state.labels[rows])
