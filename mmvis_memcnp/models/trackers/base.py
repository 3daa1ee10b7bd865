"""The two forms of trackers, and what the first of them shares.

**Detections -> ids.** A frame has any number of detections, and objects come
and go: :class:`DetectionTracker`, of which :class:`~.cue.CueTracker` and
:class:`~.greedy.GreedyTracker` are two. ::

    state = tracker.start()
    result, state = tracker.step(state, detections)    # result.ids (n,)

**Rows -> rows.** A frame has N queries, and row n of the result is the same
object in all frames: :class:`~.rows.RowTracker`, and those that learn what
the rows are, :class:`~.occupancy.OccupancyTracker` and
:class:`~.referring.ReferringTracker`. Batch first. ::

    state = tracker.start()
    tracked, state = tracker.step(state, queries, hidden)  # tracked.order

In both, the module holds nothing of a video, a state is a value that no step
changes, and the parts are an association (what is how alike, and for rows
which belong together) and a memory (:class:`~.memories.base.Memory`).
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from mmdet.registry import TASK_UTILS
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...results.saved_values import saveable
from .memories.base import MemoryState


class TrackResult(NamedTuple):
    """Identities of the n detections of a frame."""
    ids: Tensor  # (n,) int64 on the CPU, each at most once; -1 = none
    scores: Tensor  # (n, M) association scores, see the tracker


def no_numbers() -> Tensor:
    """Field of a state without objects."""
    return field(default_factory=lambda: torch.zeros(0, dtype=torch.long))


@saveable
@dataclass(frozen=True)
class TrackState:
    """The M objects of one video that are remembered.

    The numbers are on the CPU, where the decisions are taken; what is
    compared with detections is on their device.

    Attributes:
        memory: of B = 1 video; object m is row m.
        ids: (M,) int64 on the CPU, ascending.
        last_seen: (M,) int64 on the CPU, frame of the last match.
        hits: (M,) int64 on the CPU, frames in which it was found.
        next_id: the first identity that was never given.
        frame: number of frames seen.
    """
    CPU_FIELDS: ClassVar = ('ids', 'last_seen', 'hits')
    memory: MemoryState
    ids: Tensor = no_numbers()
    last_seen: Tensor = no_numbers()
    hits: Tensor = no_numbers()
    next_id: int = 0
    frame: int = 0

    def __len__(self) -> int:
        return len(self.ids)


State = TypeVar('State', bound=TrackState)


class DetectionTracker(nn.Module, Generic[State]):
    """Base of trackers that give identities to detections.

    A step compares on the device, takes the scores to the CPU, decides
    there, and writes the memory on the device. Reading the scores is the one
    time that a step waits for the device: how many objects start decides
    sizes, so some wait cannot be avoided.

    Args:
        association (dict): Scores detections against objects (TASK_UTILS).
        memory (dict): A :class:`~.memories.base.Memory` (TASK_UTILS).
        max_gap (int, optional): An object that was not found in this many
            frames is forgotten; higher = it survives longer occlusions, and
            more objects are remembered. Defaults to None, never.
        max_tracks (int, optional): Objects to remember at most, the most
            recently found ones. Defaults to None, no limit.

    Raises:
        ValueError: If a limit is below 1.
    """

    def __init__(self,
                 association: ConfigType,
                 memory: ConfigType,
                 max_gap: int | None = None,
                 max_tracks: int | None = None) -> None:
        super().__init__()
        for name, value in (('max_gap', max_gap), ('max_tracks', max_tracks)):
            if value is not None and value < 1:
                raise ValueError(
                    f'{name} must be at least 1 or None, got {value}.')
        self.association = TASK_UTILS.build(association)
        self.memory = TASK_UTILS.build(memory)
        self.max_gap = max_gap
        self.max_tracks = max_tracks

    def start(self) -> State:
        """The state of a video before its first frame."""
        raise NotImplementedError

    def step(self, state: State,
             detections: InstanceData) -> tuple[TrackResult, State]:
        """Identify the detections of the next frame.

        Args:
            state (TrackState): Before the frame; stays as it is. An identity
                is never given again.
            detections (InstanceData): n detections, best first, with
                ``scores`` (n,), ``embeds`` (n, C) and what the association
                needs.

        Returns:
            tuple[TrackResult, TrackState]: Identities, and the state after
            the frame.
        """
        with torch.no_grad():
            scores = self.compare(state, detections)
            numbers = torch.cat(
                (scores, detections.scores.to(scores)[:, None]), 1).cpu()
            rows = self.decide(state, numbers[:, :-1], numbers[:, -1])
        new = rows == len(state)
        known = torch.cat((state.ids, state.ids.new_full((1, ), -1)))
        order = new.cumsum(0) - 1  # of the new objects
        ids = torch.where(new, state.next_id + order,
                          known[rows.clamp(max=len(state) - 1)])
        rows = torch.where(new, rows + order, rows)
        state = self.remember(state, detections, rows, int(new.sum()))
        return TrackResult(ids, scores), self.forget(state)

    def compare(self, state: State, detections: InstanceData) -> Tensor:
        """Association scores, float32, columns as :meth:`decide` wants."""
        raise NotImplementedError

    def decide(self, state: State, scores: Tensor,
               confidence: Tensor) -> Tensor:
        """Which object each detection belongs to.

        Args:
            state (TrackState): M objects.
            scores (Tensor): Of :meth:`compare`, on the CPU.
            confidence (Tensor): Shape (n,), scores of the detections, on the
                CPU.

        Returns:
            Tensor: Shape (n,) int64 on the CPU: an object, each at most once;
            M for a new one; or -1.
        """
        raise NotImplementedError

    def remember(self, state: State, detections: InstanceData, rows: Tensor,
                 started: int) -> State:
        """The state after the frame, before it forgets.

        Args:
            state (TrackState): M objects.
            detections (InstanceData): n detections.
            rows (Tensor): Shape (n,) int64 on the CPU, object of each; those
                from M on are new and come in order; -1 = none.
            started (int): Number of new objects.
        """
        size = len(state) + started
        found = rows[rows >= 0]
        held = {name: torch.cat((value, value.new_zeros(started)))
                for name, value in (('last_seen', state.last_seen),
                                    ('hits', state.hits))}
        held['last_seen'][found] = state.frame
        held['hits'][found] += 1
        embeds = detections.embeds
        memory = self.memory.write(
            state.memory, embeds[None],
            rows.to(embeds.device, non_blocking=True)[None],
            weight=detections.scores[None], size=size)
        ids = torch.arange(state.next_id, state.next_id + started)
        return replace(
            state, memory=memory, ids=torch.cat((state.ids, ids)), **held,
            next_id=state.next_id + started, frame=state.frame + 1)

    def forget(self, state: State) -> State:
        """The state without objects that are too old or too many."""
        kept = torch.arange(len(state))
        if self.max_gap is not None:
            kept = kept[state.frame - state.last_seen <= self.max_gap]
        if self.max_tracks is not None and len(kept) > self.max_tracks:
            latest = state.last_seen[kept].argsort(
                descending=True, stable=True)
            kept = kept[latest[:self.max_tracks].sort()[0]]
        return state if len(kept) == len(state) else self.select(state, kept)

    def select(self, state: State, kept: Tensor) -> State:
        """The state of some objects.

        Args:
            state (TrackState): M objects.
            kept (Tensor): Shape (k,) int64 on the CPU, ascending.
        """
        rows = kept.to(state.memory.embeds.device, non_blocking=True)
        return replace(
            state, memory=state.memory.take(rows), ids=state.ids[kept],
            last_seen=state.last_seen[kept], hits=state.hits[kept])
