"""Tracker in which detections choose their objects one after the other."""
from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from .base import DetectionTracker, TrackState


@MODELS.register_module()
class GreedyTracker(DetectionTracker[TrackState]):
    """The best detection chooses first; an object is given away once.

    A detection takes the free object with the largest association score if
    that exceeds ``match_thr``; where several do, the one that was found in
    more frames is preferred (``frame_weight``). Otherwise it starts an object
    if its own score suffices. The result's ``scores`` are (n, M). Source: Wu
    et al., In Defense of Online Models for Video Instance Segmentation, ECCV
    2022, and its released code; CTVIS matches in the same way.

    Args:
        association (dict): Scores detections against objects, (n, M)
            (TASK_UTILS).
        memory (dict): A :class:`~.memories.base.Memory` (TASK_UTILS).
        match_thr (float): A match must exceed this; higher = fewer wrong
            matches, more broken tracks. Defaults to 0.5.
        init_score_thr (float): Confidence that starts an object while none
            is remembered; higher = fewer objects. Defaults to 0.2.
        new_score_thr (float): The same afterwards. Defaults to 0.2.
        frame_weight (bool): Multiply association scores above ``match_thr``
            by the frames in which the object was found. Defaults to True.
        max_gap (int, optional): See :class:`DetectionTracker`. Defaults to
            10.
        max_tracks (int, optional): See :class:`DetectionTracker`. Defaults
            to None.
    """

    def __init__(self,
                 association: ConfigType,
                 memory: ConfigType,
                 match_thr: float = 0.5,
                 init_score_thr: float = 0.2,
                 new_score_thr: float = 0.2,
                 frame_weight: bool = True,
                 max_gap: int | None = 10,
                 max_tracks: int | None = None) -> None:
        super().__init__(association, memory, max_gap, max_tracks)
        self.match_thr = match_thr
        self.init_score_thr = init_score_thr
        self.new_score_thr = new_score_thr
        self.frame_weight = frame_weight

    def start(self) -> TrackState:
        """See :meth:`DetectionTracker.start`."""
        return TrackState(self.memory.start())

    def compare(self, state: TrackState, detections: InstanceData) -> Tensor:
        """Association scores (n, M)."""
        if not len(state):
            return detections.scores.new_zeros(
                (len(detections), 0), dtype=torch.float32)
        embeds = self.memory.read(state.memory)[0]
        return self.association(InstanceData(embeds=embeds), detections)

    def decide(self, state: TrackState, scores: Tensor,
               confidence: Tensor) -> Tensor:
        """Matches in the order of the detections, then new objects."""
        if not len(state):
            return torch.where(confidence > self.init_score_thr, 0, -1)
        weighted = scores * state.hits if self.frame_weight else scores
        rows = choose_in_order(weighted, scores > self.match_thr)
        new = (rows < 0) & (confidence > self.new_score_thr)
        return rows.masked_fill(new, len(state))


def choose_in_order(scores: Tensor, allowed: Tensor) -> Tensor:
    """Rows choose their best free column, one row after the other.

    The choice of all rows is repeated under the choices of the earlier ones
    until nothing changes: after step k the first k rows are final. For
    tensors on the CPU: every repetition looks at its outcome.

    Args:
        scores (Tensor): Shape (n, M), M >= 1.
        allowed (Tensor): Shape (n, M) bool, what may be chosen.

    Returns:
        Tensor: Shape (n,) int64, column of each row or -1; every column at
        most once.
    """
    columns = torch.arange(scores.shape[1], device=scores.device)
    choice = torch.full(scores.shape[:1], -1, device=scores.device)
    while True:
        chosen = choice[:, None] == columns
        free = allowed & (chosen.cumsum(0) - chosen.long() == 0)
        best = scores.masked_fill(~free, -torch.inf).argmax(1)
        now = best.masked_fill(~free.any(1), -1)
        if torch.equal(now, choice):
            return choice
        choice = now
