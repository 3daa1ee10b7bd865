"""Which identities leave the result while the video goes on."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mmdet.registry import TASK_UTILS


class TrackFilter(Protocol):
    """Looks at the identities of each frame; one object a video."""

    def step(self, ids: Iterable[int]) -> list[int]:
        """Take in the next frame.

        Args:
            ids (Iterable[int]): Identities whose masks are kept.

        Returns:
            list[int]: Identities that leave the result now. The tracker
            still remembers them: one that comes back starts afresh under the
            same number.
        """


@TASK_UTILS.register_module()
class ShortTracks:
    """Drops identities that were seen too rarely and then not again.

    As the released IDOL and CTVIS do.

    Args:
        from_frame (int): Number of the first frame, from 0, in which one is
            dropped. Defaults to 9.
        max_missing (int): Frames in a row without the identity that make it
            noise; a higher one keeps more. Defaults to 2.
        min_detections (int): An identity with so many frames is never
            dropped; a higher one drops more. Defaults to 3.
    """

    def __init__(self,
                 from_frame: int = 9,
                 max_missing: int = 2,
                 min_detections: int = 3) -> None:
        self.from_frame = from_frame
        self.max_missing = max_missing
        self.min_detections = min_detections
        self._frame = -1
        # Detections and last frame of identities that may still be noise;
        # bounded, as such an identity is dropped or known to be no noise soon.
        self._doubtful: dict[int, tuple[int, int]] = {}
        self._sure: set[int] = set()

    def step(self, ids: Iterable[int]) -> list[int]:
        """See :class:`TrackFilter`."""
        self._frame += 1
        for one in ids:
            if one in self._sure:
                continue
            count = self._doubtful.pop(one, (0, 0))[0] + 1
            if count < self.min_detections:
                self._doubtful[one] = count, self._frame
            else:
                self._sure.add(one)
        if self._frame < self.from_frame:
            return []
        noise = [one for one, (_, last) in self._doubtful.items()
                 if self._frame - last >= self.max_missing]
        for one in noise:
            del self._doubtful[one]
        return noise
