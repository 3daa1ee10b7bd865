"""Memory that keeps an object's latest appearance."""
from typing import Optional

import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor

from .state import TrackState, append_rows


@TASK_UTILS.register_module()
class LatestMemory:
    """Embedding and box of an object are those of its last match.

    The label stays that of its first detection, as published.

    Args:
        max_tracks (int, optional): Objects to remember at most: the most
            recently matched ones. Ids are never used again. Defaults to None,
            no limit.
    """

    def __init__(self, max_tracks: Optional[int] = None) -> None:
        if max_tracks is not None and max_tracks < 1:
            raise ValueError(
                f'max_tracks must be positive or None, got {max_tracks}.')
        self.max_tracks = max_tracks

    def update(self, state: TrackState, detections: InstanceData,
               rows: Tensor) -> None:
        """Remember the detections of a frame.

        Args:
            state (TrackState): Changed by new tensors, none in place.
            detections (InstanceData): ``embeds``, ``bboxes``, ``labels`` of n
                detections.
            rows (Tensor): Shape (n,) int64. Row of the state that a detection
                updates, each at most once; rows from ``len(state)`` on are
                new and come in order; -1 updates nothing.
        """
        known = len(state)
        matched = (rows >= 0) & (rows < known)
        new = rows >= known
        num_new = int(new.sum())
        device = rows.device
        new_ids = torch.arange(
            state.next_id, state.next_id + num_new, device=device)
        seen = torch.full((len(rows), ), state.frame, device=device)
        state.ids = append_rows(state.ids, new_ids)
        state.labels = append_rows(state.labels, detections.labels[new])
        for name, values in (('boxes', detections.bboxes),
                             ('embeds', detections.embeds),
                             ('last_seen', seen)):
            held = append_rows(getattr(state, name), values[new])
            held[rows[matched]] = values[matched].to(held.dtype)
            setattr(state, name, held)
        state.next_id += num_new
        state.frame += 1
        self._forget(state)

    def _forget(self, state: TrackState) -> None:
        if self.max_tracks is None or len(state) <= self.max_tracks:
            return
        latest = state.last_seen.argsort(descending=True, stable=True)
        kept = latest[:self.max_tracks].sort()[0]
        for name in ('ids', 'labels', 'boxes', 'embeds', 'last_seen'):
            setattr(state, name, getattr(state, name)[kept])
