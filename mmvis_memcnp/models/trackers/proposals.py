"""Which queries are the instances of a video, where a query is one object in
all its frames (InstanceFormer): nothing is associated, the best are chosen.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ...results.saved_values import saveable

Frame = TypeVar('Frame')


@saveable
@dataclass
class ProposalState(Generic[Frame]):
    """A video whose instances are chosen, or will be.

    Attributes:
        chosen: (n,) int64, the queries that are instances, best first; None
            until the frames that they are chosen from are there.
        waiting: these frames, each with its class scores (Q, K).
    """
    chosen: Tensor | None = None
    waiting: list[tuple[Tensor, Frame]] = field(default_factory=list)


class QueryProposals:
    """Chooses the instances of a video by its first frames.

    Args:
        num_proposals (int): (frame, query, class) scores of these frames
            that make their queries instances of the video; a higher number
            gives more tracks of low scores.
        proposal_frames (int): Frames they are taken from; with a higher
            number objects that come later are found, and the first results
            wait longer.

    Raises:
        ValueError: If a number is below 1.
    """

    def __init__(self, num_proposals: int, proposal_frames: int) -> None:
        for name, value in (('num_proposals', num_proposals),
                            ('proposal_frames', proposal_frames)):
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}.')
        self.num_proposals = num_proposals
        self.proposal_frames = proposal_frames

    def step(self, state: ProposalState[Frame], scores: Tensor,
             frame: Frame) -> list[Frame]:
        """Take the next frame.

        Args:
            state (ProposalState): Moved on.
            scores (Tensor): Shape (Q, K), in [0, 1].
            frame: What waits until the instances are chosen.

        Returns:
            list: The frames whose instances are known now, in order.
        """
        state.waiting.append((scores, frame))
        if state.chosen is None and len(state.waiting) < self.proposal_frames:
            return []
        return self.flush(state)

    def flush(self, state: ProposalState[Frame]) -> list[Frame]:
        """Choose among the frames so far, if that is still to do, and give
        out those that wait."""
        if state.chosen is None and state.waiting:
            state.chosen = self.choose(
                torch.stack([scores for scores, _ in state.waiting]))
        waiting, state.waiting = state.waiting, []
        return [frame for _, frame in waiting]

    def choose(self, scores: Tensor) -> Tensor:
        """Queries of the best (frame, query, class) scores.

        Args:
            scores (Tensor): Shape (T, Q, K).

        Returns:
            Tensor: Shape (n,) int64, n <= ``num_proposals``, best first.
        """
        best = scores.flatten().topk(
            min(self.num_proposals, scores.numel())).indices
        query = best // scores.shape[2] % scores.shape[1]
        same = query[:, None] == query[None]
        return query[~(same & torch.ones_like(same).tril(-1)).any(1)]
