"""What a tracker remembers of a video."""
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


def _none(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
    return field(default_factory=lambda: torch.zeros(shape, dtype=dtype))


@dataclass
class TrackState:
    """Remembered objects of one video, M rows.

    A value: trackers put new tensors into it and never change one in place,
    so :meth:`snapshot` is cheap and stays as it is.
    """
    ids: Tensor = _none(0)  # (M,) int64
    labels: Tensor = _none(0)  # (M,) int64
    boxes: Tensor = _none(0, 4, dtype=torch.float)  # (M, 4) xyxy, in the
    # units of the detections
    embeds: Tensor = _none(0, 0, dtype=torch.float)  # (M, C)
    last_seen: Tensor = _none(0)  # (M,) int64, frame of the last match
    next_id: int = 0
    frame: int = 0  # number of frames seen

    def __len__(self) -> int:
        return len(self.ids)

    def snapshot(self) -> 'TrackState':
        """A state that later steps do not touch."""
        return replace(self)
