"""Systems that detect in single frames and give identities by a tracker."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta
from ...results.saved_values import saveable
from ..trackers.base import DetectionTracker, TrackState
from .base import VIS, VISOptions
from .session import VideoMeta


@saveable
@dataclass
class OnlineState:
    """What a video needs beside its frames.

    Attributes:
        tracks: the tracker's state after the last frame, a value.
    """
    tracks: TrackState


class OnlineOptions(VISOptions, total=False):
    """Arguments that every such system takes; see :class:`OnlineVIS`."""
    tracker: dict | None


class OnlineVIS(VIS[OnlineState, InstanceData]):
    """Base of systems whose tracker gives identities to detections.

    A subclass says how frames are encoded, into detections, and how tracked
    detections become :class:`FrameInstances`.

    Args:
        tracker (dict, optional): Detections to identities; without one the
            model trains but follows no video.
        kwargs: See :class:`VIS`.
    """

    def __init__(self, *, tracker: dict | None = None,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        self.tracker: DetectionTracker | None = (
            MODELS.build(tracker) if tracker else None)

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[InstanceData]:
        """Detections of each frame, best first.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (Sequence[FrameMeta]): See :meth:`VIS.encode`.

        Returns:
            list[InstanceData]: One a frame with at least ``bboxes`` (n, 4) in
            original pixels, ``scores`` (n,), ``labels`` (n,), what the
            tracker compares (``embeds``) and what :meth:`instances` needs.
        """
        raise NotImplementedError

    def instances(self, tracked: InstanceData,
                  meta: FrameMeta) -> FrameInstances:
        """The value of a frame.

        Args:
            tracked (InstanceData): Detections with ``instances_id``.
            meta (FrameMeta): Of the frame.
        """
        raise NotImplementedError

    def begin(self, video_meta: VideoMeta) -> OnlineState:
        """See :meth:`VIS.begin`: the state of the tracker."""
        if self.tracker is None:
            raise ValueError('This model has no tracker, so it can follow no '
                             'video: give its config a tracker.')
        return OnlineState(self.tracker.start())

    def advance(self, state: OnlineState, item: InstanceData,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: every frame is settled at once."""
        return [self.instances(self.associate(state, item), meta)]

    def associate(self, state: OnlineState,
                  detections: InstanceData) -> InstanceData:
        """Give identities to detections and drop those without.

        Args:
            state (OnlineState): Moved on by a frame.
            detections (InstanceData): n detections of the frame.

        Returns:
            InstanceData: Those with an identity, with ``instances_id``.
        """
        assert self.tracker is not None
        result, state.tracks = self.tracker.step(state.tracks, detections)
        rows = (result.ids >= 0).nonzero()[:, 0]
        ids, device = result.ids[rows], detections.scores.device
        tracked = detections[rows.to(device, non_blocking=True)]
        tracked.instances_id = ids.to(device, non_blocking=True)
        return tracked
