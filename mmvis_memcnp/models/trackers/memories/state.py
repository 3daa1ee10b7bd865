"""What a tracker remembers of a video."""
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


def empty_tensor(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
    """Field of a state that starts without rows."""
    return field(default_factory=lambda: torch.zeros(shape, dtype=dtype))


@dataclass
class TrackState:
    """Remembered objects of one video, M rows.

    A value: trackers put new tensors into it and never change one in place,
    so :meth:`snapshot` is cheap and stays as it is.
    """
    ids: Tensor = empty_tensor(0)  # (M,) int64
    labels: Tensor = empty_tensor(0)  # (M,) int64
    boxes: Tensor = empty_tensor(0, 4, dtype=torch.float)  # (M, 4) xyxy, in
    # the units of the detections
    embeds: Tensor = empty_tensor(0, 0, dtype=torch.float)  # (M, C)
    last_seen: Tensor = empty_tensor(0)  # (M,) int64, frame of the last match
    next_id: int = 0
    frame: int = 0  # number of frames seen

    def __len__(self) -> int:
        return len(self.ids)

    def snapshot(self) -> 'TrackState':
        """A state that later steps do not touch."""
        return replace(self)


@dataclass
class CountedState(TrackState):
    """A :class:`TrackState` that counts the matches of its objects."""
    hits: Tensor = empty_tensor(0)  # (M,) int64, matches so far


def append_rows(held: Tensor, new: Tensor) -> Tensor:
    """A new tensor with the rows of both."""
    if not len(held):  # also settles width, type and device
        return new.clone()
    return torch.cat((held, new.to(held.dtype)))
