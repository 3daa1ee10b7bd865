"""Frame-by-frame tracker, composed of an association and a memory."""
from typing import NamedTuple, Tuple

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .memories.state import TrackState


class TrackResult(NamedTuple):
    """Identities of n detections."""
    ids: Tensor  # (n,) int64, -1 = dropped
    scores: Tensor  # (n, 1 + M) association scores, column 0 a new object


@MODELS.register_module()
class OnlineTracker(nn.Module):
    """Each detection claims the object it scores best for, or starts one.

    Several detections may claim one object. In their order, a detection takes
    the id if its score exceeds those of all earlier claims, else it is
    dropped. A later, better claim takes the id as well: an id may occur more
    than once, and **the last occurrence holds**; it also updates the memory.

    The module holds no state of a video: :meth:`start` gives one, and
    :meth:`step` moves it on.

    Args:
        association (dict): Scores detections against the state
            (TASK_UTILS).
        memory (dict): Updates the state (TASK_UTILS).
    """

    # Scores at or below this claim nothing, as published.
    MIN_CLAIM = -100.

    def __init__(self, association: ConfigType, memory: ConfigType) -> None:
        super().__init__()
        self.association = TASK_UTILS.build(association)
        self.memory = TASK_UTILS.build(memory)

    def start(self) -> TrackState:
        """The state of a video before its first frame."""
        return TrackState()

    @torch.no_grad()
    def step(self, state: TrackState,
             detections: InstanceData) -> TrackResult:
        """Identify the detections of the next frame.

        Args:
            state (TrackState): Moved on by one frame.
            detections (InstanceData): n detections, best first, with
                ``bboxes`` (n, 4) xyxy, ``scores`` (n,), ``labels`` (n,) and
                ``embeds`` (n, C).

        Returns:
            TrackResult: Ids and the scores they were decided by.
        """
        if len(state):
            scores = self.association(state, detections)
        else:  # nothing to compare with: all are new
            scores = detections.scores.new_zeros((len(detections), 1))
        best, column = scores.max(dim=1)
        takes, holds = claim(best, column, self.MIN_CLAIM)
        new = column == 0
        order = new.cumsum(0) - 1  # of the new objects
        known = state.ids if len(state) else column.new_zeros(1)
        ids = torch.where(new, state.next_id + order,
                          known[(column - 1).clamp(min=0)])
        rows = torch.where(new, len(state) + order, column - 1)
        self.memory.update(state, detections,
                           rows.masked_fill(~(new | holds), -1))
        return TrackResult(ids.masked_fill(~(new | takes), -1), scores)


def claim(best: Tensor, column: Tensor,
          min_claim: float) -> Tuple[Tensor, Tensor]:
    """Who gets an object that several detections claim.

    Args:
        best (Tensor): Shape (n,), score of each detection's claim.
        column (Tensor): Shape (n,) int64, what it claims; 0 = a new object.
        min_claim (float): A claim must exceed this.

    Returns:
        tuple[Tensor, Tensor]: Bool masks (n,): the detection exceeds all
        earlier claims on the same object; and no later one exceeds it in
        turn. Both are False for new objects.
    """
    index = torch.arange(len(best), device=best.device)
    rival = (column[:, None] == column) & (column > 0)
    earlier = rival & (index < index[:, None])
    record = torch.where(earlier, best, min_claim).amax(
        dim=1) if len(best) else best
    takes = (column > 0) & (best > record)
    beaten = (rival & (index > index[:, None]) & takes).any(dim=1)
    return takes, takes & ~beaten
