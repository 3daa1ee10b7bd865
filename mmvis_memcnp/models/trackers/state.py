"""What a tracker remembers of a video."""
from dataclasses import dataclass, replace
from typing import Optional

from torch import Tensor


@dataclass
class TrackState:
    """Remembered objects of one video, M rows; None before the first frame.

    A value: trackers put new tensors into it and never change one in place,
    so :meth:`snapshot` is cheap and stays as it is.
    """
    ids: Optional[Tensor] = None  # (M,) int64
    labels: Optional[Tensor] = None  # (M,) int64
    boxes: Optional[Tensor] = None  # (M, 4) xyxy, units of the detections
    embeds: Optional[Tensor] = None  # (M, C)
    last_seen: Optional[Tensor] = None  # (M,) int64, frame of the last match
    next_id: int = 0
    frame: int = 0  # number of frames seen

    def __len__(self) -> int:
        return 0 if self.ids is None else len(self.ids)

    def snapshot(self) -> 'TrackState':
        """A state that later steps do not touch."""
        return replace(self)
