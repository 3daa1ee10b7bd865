"""Memory of an object's last few appearances, recent and sure ones first."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor

from .state import CountedState, append_rows, empty_tensor


@dataclass
class WindowState(CountedState):
    """With the last W appearances of the M objects."""
    recent: Tensor = empty_tensor(0, 0, 0, dtype=torch.float)  # (M, W, C),
    # newest last, zeros before the first
    recent_scores: Tensor = empty_tensor(0, 0, dtype=torch.float)  # (M, W)


@TASK_UTILS.register_module()
class WindowMemory:
    """Weighted mean of an object's last appearances, as released IDOL does.

    Appearance t of n, the newest being n, has the weight ``score + t / n``.
    Label and box are the last ones.

    Args:
        length (int): W, appearances to remember. Defaults to 3.
        max_gap (int): An object that was not seen for this many frames is
            forgotten. Defaults to 10.
        normalize (bool): Average embeddings of length 1; for cosine
            similarities. Defaults to False.
    """

    def __init__(self,
                 length: int = 3,
                 max_gap: int = 10,
                 normalize: bool = False) -> None:
        if length < 1 or max_gap < 1:
            raise ValueError('length and max_gap must be at least 1, got '
                             f'{length} and {max_gap}.')
        self.length = length
        self.max_gap = max_gap
        self.normalize = normalize

    def start(self) -> WindowState:
        """The state of a video before its first frame."""
        return WindowState()

    def update(self, state: WindowState, detections: InstanceData,
               rows: Tensor) -> None:
        """Remember the detections of a frame and forget the long unseen.

        Args:
            state (WindowState): Changed by new tensors, none in place.
            detections (InstanceData): ``embeds``, ``scores``, ``bboxes``,
                ``labels`` of n detections.
            rows (Tensor): Shape (n,) int64. Row of the state that a detection
                updates, each at most once; rows from ``len(state)`` on are
                new and come in order; -1 updates nothing.
        """
        used = rows >= 0
        chosen, rows = detections[used], rows[used]
        new = rows >= len(state)
        count = int(new.sum())
        embeds = chosen.embeds.float()
        if self.normalize:
            embeds = F.normalize(embeds, dim=1)
        device, width = rows.device, embeds.shape[1]
        state.ids = append_rows(
            state.ids,
            torch.arange(
                state.next_id, state.next_id + count, device=device))
        blank: dict[str, Tensor] = dict(
            labels=chosen.labels[new],
            boxes=chosen.bboxes[new],
            last_seen=rows[new],
            hits=torch.zeros_like(rows[new]),
            recent=embeds.new_zeros(count, self.length, width),
            recent_scores=embeds.new_zeros(count, self.length))
        held = {name: append_rows(getattr(state, name), value)
                for name, value in blank.items()}
        held['labels'][rows] = chosen.labels
        held['boxes'][rows] = chosen.bboxes.to(held['boxes'].dtype)
        held['last_seen'][rows] = state.frame
        held['hits'][rows] += 1
        for name, value in (('recent', embeds),
                            ('recent_scores', chosen.scores.float())):
            held[name][rows] = torch.cat(
                (held[name][rows, 1:], value[:, None]), dim=1)
        kept = state.frame - held['last_seen'] < self.max_gap
        for name, value in held.items():
            setattr(state, name, value[kept])
        state.ids = state.ids[kept]
        state.embeds = self._mean(state)
        state.next_id += count
        state.frame += 1

    def _mean(self, state: WindowState) -> Tensor:
        """(M, C) weighted mean of what is remembered."""
        filled = state.hits.clamp(max=self.length)[:, None]
        slots = torch.arange(1, self.length + 1, device=state.ids.device)
        age = slots - self.length + filled  # 1 to n where filled
        weight = (state.recent_scores + age / filled) * (age > 0)
        total = (weight[..., None] * state.recent).sum(1)
        return total / weight.sum(1, keepdim=True)
