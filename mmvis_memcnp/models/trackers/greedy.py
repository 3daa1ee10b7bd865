"""Tracker in which detections choose their objects one after the other."""
import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..layers.greedy_nms import mask_iou
from .cue import TrackResult
from .memories.state import CountedState

#: Ids of detections that get none.
BACKDROP, UNMATCHED = -1, -2


@MODELS.register_module()
class GreedyTracker(nn.Module):
    """The best detection chooses first; an object is given away once.

    A detection takes the free object with the largest association score if
    that exceeds ``match_thr``; where several do, the one that was matched in
    more frames is preferred (``frame_weight``). Who gets none starts an
    object if its own score suffices. Source: Wu et al., In Defense of Online
    Models for Video Instance Segmentation, ECCV 2022, and its released code;
    CTVIS matches in the same way.

    The module holds no state of a video: :meth:`start` gives one, and
    :meth:`step` moves it on.

    Args:
        association (dict): Scores detections against the state, (n, M)
            (TASK_UTILS).
        memory (dict): Makes and updates the state (TASK_UTILS).
        match_thr (float): A match must exceed this. Defaults to 0.5.
        init_score_thr (float): Confidence that starts an object while none
            is remembered. Defaults to 0.2.
        new_score_thr (float): The same afterwards. Defaults to 0.2.
        frame_weight (bool): Multiply association scores above ``match_thr``
            by the matches so far. Defaults to True.
        backdrop_iou (float): A detection without an object is a backdrop if
            its mask overlaps all better ones less than this. Defaults to
            0.05.
    """

    def __init__(self,
                 association: ConfigType,
                 memory: ConfigType,
                 match_thr: float = 0.5,
                 init_score_thr: float = 0.2,
                 new_score_thr: float = 0.2,
                 frame_weight: bool = True,
                 backdrop_iou: float = 0.05) -> None:
        super().__init__()
        self.association = TASK_UTILS.build(association)
        self.memory = TASK_UTILS.build(memory)
        self.match_thr = match_thr
        self.init_score_thr = init_score_thr
        self.new_score_thr = new_score_thr
        self.frame_weight = frame_weight
        self.backdrop_iou = backdrop_iou

    def start(self) -> CountedState:
        """The state of a video before its first frame."""
        return self.memory.start()

    @torch.no_grad()
    def step(self, state: CountedState,
             detections: InstanceData) -> TrackResult:
        """Identify the detections of the next frame.

        Args:
            state (CountedState): As the memory makes it; moved on by one
                frame.
            detections (InstanceData): n detections, best first, with
                ``scores`` (n,), ``masks`` (n, h, w) bool of any resolution,
                and what association and memory need.

        Returns:
            TrackResult: Ids, -1 for backdrops and -2 for others without an
            object, and association scores (n, M).
        """
        confidence = detections.scores
        if len(state):
            scores = self.association(state, detections)
            weighted = scores * state.hits if self.frame_weight else scores
            rows = claim_in_order(weighted, scores > self.match_thr)
            threshold = self.new_score_thr
        else:
            scores = confidence.new_zeros((len(detections), 0))
            rows = torch.full_like(confidence, -1, dtype=torch.long)
            threshold = self.init_score_thr
        new = (rows < 0) & (confidence > threshold)
        order = new.cumsum(0) - 1  # of the new objects
        known = torch.cat((state.ids, state.ids.new_full((1, ), UNMATCHED)))
        ids = known.to(rows.device)[rows]  # row -1 is the one added
        ids = torch.where(new, state.next_id + order, ids)
        ids = ids.masked_fill(
            (ids == UNMATCHED) & self._stand_alone(detections.masks), BACKDROP)
        self.memory.update(state, detections,
                           torch.where(new, len(state) + order, rows))
        return TrackResult(ids, scores)

    def _stand_alone(self, masks: Tensor) -> Tensor:
        """(n,) bool, whether a mask is apart from all better ones."""
        return (mask_iou(masks).tril(-1) < self.backdrop_iou).all(1)


def claim_in_order(scores: Tensor, allowed: Tensor) -> Tensor:
    """Rows choose their best free column, one row after the other.

    The choice of all rows is repeated under the choices of the earlier ones
    until nothing changes: after step k the first k rows are final.

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
