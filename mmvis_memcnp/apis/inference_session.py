"""One video on its way through a trained system."""
from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData

from ..errors import SourceError
from ..models.vis.saved_session import save_session
from ..models.vis.session import Session
from ..results import Sink, VideoResult
from .background import chunks, read_ahead
from .loading import LoadedModel
from .scenes import follow_scenes
from .sources import FrameSource, check_frame

Frames = np.ndarray | Sequence[np.ndarray]
#: Frames that the network gets at once where they need not be waited for.
#: More take more memory and, on a GPU, less time.
CHUNK = 4


class InferenceSession:
    """One video on its way through a :class:`VISInferencer`.

    Args:
        inferencer (LoadedModel): The model with its pipeline.
        sink (Sink, optional): Where results go.
        channel_order (str): Of the frames, ``'bgr'`` or ``'rgb'``.
        length (int, optional): Number of frames, if it is known.
    """

    def __init__(self,
                 inferencer: LoadedModel,
                 sink: Sink | None = None,
                 channel_order: str = 'bgr',
                 length: int | None = None) -> None:
        if channel_order not in ('bgr', 'rgb'):
            raise ValueError(f"channel_order is {channel_order!r}; use 'bgr' "
                             "or 'rgb'.")
        self._inferencer = inferencer
        self._rgb = channel_order == 'rgb'
        known = None if length is None else dict(video_length=length)
        self._session = inferencer.model.session(known, sink)
        self._size: tuple[int, ...] | None = None
        self._count = 0

    @classmethod
    def restored(cls, inferencer: LoadedModel, session: Session,
                 known: Mapping[str, Any]) -> InferenceSession:
        """The session that :meth:`save` wrote."""
        found = cls(inferencer,
                    channel_order='rgb' if known['rgb'] else 'bgr')
        found._session, found._size = session, known['size']
        found._count = known['count']
        return found

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the session to a file; it may go on.

        :meth:`VISInferencer.restore` of the same config, checkpoint,
        ``optimize`` and backend goes on from there, in this process or
        another. The file has all results so far. Frames whose results are
        still due are the caller's to keep.

        Args:
            path (str | Path): The file.
            overwrite (bool): Whether a saved session may be replaced.
                Defaults to False.

        Raises:
            OutputError: If the file may not be written.
        """
        save_session(self._session, path, overwrite, dict(
            config=self._inferencer.digest(), rgb=self._rgb, size=self._size,
            count=self._count, running=self._inferencer.running()))

    @torch.no_grad()
    def step(self, frames: Frames) -> list[InstanceData]:
        """Take the next frames of the video.

        Args:
            frames (ndarray | Sequence[ndarray]): One frame (H, W, 3), uint8,
                or several, which the network takes as one batch.

        Returns:
            list[InstanceData]: The FrameResults that are settled: of systems
            that go frame by frame one a frame, of others those that are due,
            in order, each with its ``frame_id``. They hold ``instances_id``,
            ``bboxes`` (n, 4) xyxy in pixels of the frame, ``scores``,
            ``labels``, ``masks`` (run-length codes) and, with MemCNP,
            ``box_sigmas`` (n, 4), fractions of the frame.

        Raises:
            SourceError: If a frame is no uint8 colour image or its size is
                not that of the video.
            ValueError: If the system takes a video as a whole and this one
                is too long.
        """
        # One frame, or what is meant to be one and is not, as the None of an
        # image that cannot be read.
        single = not isinstance(frames, Iterable) or (
            isinstance(frames, np.ndarray) and frames.ndim != 4)
        batch: list[Any] = [frames] if single else list(frames)
        for index, frame in enumerate(batch, self._count):
            check_frame(frame, index)
            size = self._size or batch[0].shape
            if frame.shape != size:
                raise SourceError(
                    f'Frame {index} is {frame.shape[1]}x{frame.shape[0]} '
                    f'pixels, but the video is {size[1]}x{size[0]} (width x '
                    'height): begin a new session for another size.')
        if not batch:
            return []
        if self._rgb:
            batch = [cv2.cvtColor(f, cv2.COLOR_RGB2BGR) for f in batch]
        inputs, metas = self._inferencer.prepare(batch)
        for index, meta in enumerate(metas, self._count):
            meta['frame_id'] = index
        with self._inferencer.precision():
            results = self._session.step(inputs, metas)
        self._size = batch[0].shape
        self._count += len(batch)
        return results

    def batches(self, source: FrameSource
                ) -> Generator[list[np.ndarray], None, None]:
        """The frames of a source as :meth:`step` takes them best.

        Args:
            source (FrameSource): The video.

        Yields:
            list[ndarray]: Of files some frames, read while the caller works
            on those before; else one, when it comes.
        """
        if not source.stored:
            return chunks(source, 1)
        return read_ahead(chunks(source, CHUNK), 1)

    def flush(self) -> list[InstanceData]:
        """FrameResults that are still due when the video has ended."""
        with self._inferencer.precision():
            return self._session.flush()

    def follow(
        self, frames: Iterable[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, InstanceData]]:
        """Every frame with its FrameResult, as soon as that is settled.

        Args:
            frames (Iterable[ndarray]): All frames that are left of the video.

        Yields:
            tuple: The frame as it was given, and its FrameResult.
        """
        yield from follow_scenes(lambda: self, frames)

    def finish(self) -> VideoResult:
        """Tracks of the video, with video-level labels and scores."""
        self.flush()
        return self._session.finish()
