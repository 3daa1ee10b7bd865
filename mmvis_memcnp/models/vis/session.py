"""The four calls of a system, and the loop over them that takes a video."""
from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Generic, TypedDict, TypeVar

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

State = TypeVar('State')
Item = TypeVar('Item')

#: Frames that are encoded at once, whatever a step brings: bounds memory.
CHUNK = 8


class VideoMeta(TypedDict, total=False):
    """What is known of a video before its first frame.

    Attributes:
        video_length: number of frames.
    """
    video_length: int


class System(Generic[State, Item]):
    """The four calls of a system, and what they are asked for besides.

    ``State`` is what a video needs, ``Item`` what :meth:`encode` gives of a
    frame.

    Attributes:
        sigma_map: maps the standard deviations of results; None: they are the
            network's own.
    """

    sigma_map: SigmaMap | None = None

    def begin(self, video_meta: VideoMeta) -> State:
        """The state of a video before its first frame.

        Args:
            video_meta (VideoMeta): What is known of the video, maybe nothing.
        """
        raise NotImplementedError

    def admit(self, state: State, input_hw: tuple[int, int],
              metas: Sequence[FrameMeta]) -> None:
        """Refuse frames that the system cannot take, before any work.

        Args:
            state (State): Of the video; not changed.
            input_hw (tuple[int, int]): Size of the padded input.
            metas (Sequence[FrameMeta]): Of the next frames, at least one.

        Raises:
            ValueError: If they do not suit.
        """

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> Sequence[Item]:
        """Everything that needs no other frame.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (Sequence[FrameMeta]): ``img_shape``, ``ori_shape``,
                ``batch_input_shape``, ``frame_id`` and, where frames were
                resized, ``scale_factor`` of each.

        Returns:
            Sequence: An item a frame, for :meth:`advance`.
        """
        raise NotImplementedError

    def advance(self, state: State, item: Item,
                meta: FrameMeta) -> list[FrameInstances]:
        """Take the next frame.

        Args:
            state (State): Of the video; moved on.
            item (Item): Of :meth:`encode`.
            meta (FrameMeta): Of the frame.

        Returns:
            list[FrameInstances]: The frames that are settled by it, in order:
            one, none or several.
        """
        raise NotImplementedError

    def drain(self, state: State) -> list[FrameInstances]:
        """The video has ended.

        Args:
            state (State): Of the video; moved on.

        Returns:
            list[FrameInstances]: The frames that were not settled yet.
        """
        return []

    def new_ranking(self) -> Ranking:
        """A ranking for one video."""
        raise NotImplementedError

    def new_filter(self) -> TrackFilter | None:
        """A filter of tracks for one video."""
        raise NotImplementedError


class Session(Generic[State, Item]):
    """The state of one video and what is known of its tracks.

    A session can be copied in mid-video with ``copy.deepcopy``; both go on
    from there with the same model.

    Args:
        model (VIS): The system; not changed by the session.
        video_meta (VideoMeta, optional): What is known of the video.
        sink (Sink, optional): Keeps the masks; in memory by default.
    """

    def __init__(self,
                 model: System[State, Item],
                 video_meta: VideoMeta | None = None,
                 sink: Sink | None = None) -> None:
        self.model = model
        self.video_meta = (video_meta or VideoMeta()).copy()
        self.state = model.begin(self.video_meta)
        self.ranking = model.new_ranking()
        self.filter = model.new_filter()
        self.store = TrackStore(sink, model.sigma_map)
        self._count = 0
        self._ended = False

    def __deepcopy__(self, memo: dict) -> Session[State, Item]:
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
            metas (Sequence[FrameMeta]): Sizes of each frame: ``img_shape``,
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
        known: list[FrameMeta] = [
            {**meta, 'batch_input_shape': input_hw,
             'frame_id': int(meta.get('frame_id', self._count + t))}
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
    def take(self, item: Item, meta: FrameMeta) -> list[InstanceData]:
        """Take the next frame, encoded already.

        Args:
            item (Item): Of the model's ``encode``.
            meta (FrameMeta): Of the frame, as given to ``encode``.

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
