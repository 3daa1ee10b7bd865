"""One video on its way through a system: the loop over its four calls."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.filters import TrackFilter
from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta
from ...results.ranking import Ranking
from ...results.sigma_map import SigmaMap
from ...results.sinks import Sink
from ...results.store import TrackStore, VideoResult

#: Frames that are encoded at once, whatever a step brings: bounds memory.
CHUNK = 8


class System(Protocol):
    """What a session asks of a model; see ``VIS`` for the calls."""

    @property
    def sigma_map(self) -> SigmaMap | None:
        """Maps standard deviations."""

    def begin(self, video_meta: Mapping[str, Any]) -> Any:
        """The state of a video."""

    def admit(self, state: Any, input_hw: tuple[int, int],
              metas: Sequence[FrameMeta]) -> None:
        """Refuse what the system cannot take."""

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> Sequence[Any]:
        """An item a frame."""

    def advance(self, state: Any, item: Any,
                meta: FrameMeta) -> list[FrameInstances]:
        """Frames that are settled by the next one."""

    def drain(self, state: Any) -> list[FrameInstances]:
        """Frames that are settled by the end."""

    def new_ranking(self) -> Ranking:
        """Of one video."""

    def new_filter(self) -> TrackFilter | None:
        """Of one video."""


class Session:
    """The state of one video and what is known of its tracks.

    A session can be copied in mid-video with ``copy.deepcopy``; both go on
    from there with the same model.

    Args:
        model (VIS): The system; not changed by the session.
        video_meta (Mapping, optional): What is known of the video;
            ``video_length``, the number of frames.
        sink (Sink, optional): Keeps the masks; in memory by default.
    """

    def __init__(self,
                 model: System,
                 video_meta: Mapping[str, Any] | None = None,
                 sink: Sink | None = None) -> None:
        self.model = model
        self.video_meta = dict(video_meta or {})
        self.state = model.begin(self.video_meta)
        self.ranking = model.new_ranking()
        self.filter = model.new_filter()
        self.store = TrackStore(sink, model.sigma_map)
        self._count = 0
        self._ended = False

    def __deepcopy__(self, memo: dict) -> Session:
        memo[id(self.model)] = self.model
        other = object.__new__(type(self))
        memo[id(self)] = other
        for name, value in vars(self).items():
            setattr(other, name, copy.deepcopy(value, memo))
        return other

    @torch.no_grad()
    def step(self, frames: Tensor,
             metas: Sequence[FrameMeta]) -> list[InstanceData]:
        """Take the next frames.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (Sequence[Mapping]): Sizes of each frame: ``img_shape``,
                ``ori_shape``, where frames were resized ``scale_factor``,
                and, if other than its position, ``frame_id``.

        Returns:
            list[InstanceData]: FrameResults of the frames that are settled
            now, in order, each with its ``frame_id``: of systems that go
            frame by frame one a frame, of others those that are due.

        Raises:
            ValueError: If there is not one meta a frame, the video has ended
                or the system cannot take these frames.
        """
        if len(frames) != len(metas):
            raise ValueError(f'{len(frames)} frames came with {len(metas)} '
                             'metas: give one meta a frame.')
        if self._ended:
            raise ValueError('This video has ended: begin a new session for '
                             'further frames.')
        if len(frames) == 0:
            return []
        height, width = frames.shape[-2:]
        input_hw = height, width
        known = [
            dict(meta, batch_input_shape=input_hw,
                 frame_id=int(meta.get('frame_id', self._count + t)))
            for t, meta in enumerate(metas)
        ]
        self.model.admit(self.state, input_hw, known)
        results = []
        for at in range(0, len(frames), CHUNK):
            part = known[at:at + CHUNK]
            items = self.model.encode(frames[at:at + CHUNK], part)
            for item, meta in zip(items, part, strict=True):
                results += self.take(item, meta)
        return results

    @torch.no_grad()
    def take(self, item: Any, meta: FrameMeta) -> list[InstanceData]:
        """Take the next frame, encoded already.

        Args:
            item (Any): Of the model's ``encode``.
            meta (Mapping): Of the frame, as given to ``encode``.

        Returns:
            list[InstanceData]: See :meth:`step`.
        """
        self._count += 1
        return self._settle(self.model.advance(self.state, item, meta))

    @torch.no_grad()
    def flush(self) -> list[InstanceData]:
        """End the video; gives the results that are still due."""
        if self._ended:
            return []
        self._ended = True
        return self._settle(self.model.drain(self.state))

    def finish(self) -> VideoResult:
        """End the video: tracks with video-level scores and labels."""
        self.flush()
        return self.tracks()

    def tracks(self) -> VideoResult:
        """The tracks of the frames that are settled; the video goes on.

        What was given out does not change with further frames.
        """
        return self.store.finish(self.ranking.finish())

    def _settle(self, frames: list[FrameInstances]) -> list[InstanceData]:
        """Render, keep and score frames."""
        results = []
        for frame in frames:
            result = frame.render(self.model.sigma_map)
            self.store.append(result)
            self.ranking.add(frame)
            if self.filter is not None:
                noise = self.filter.step(result.instances_id.tolist())
                self.store.drop(noise)
                self.ranking.drop(noise)
            results.append(result)
        return results
