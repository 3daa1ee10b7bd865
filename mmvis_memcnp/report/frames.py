"""Frames of videos as JPEG, within a number of bytes."""
from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ..apis.sources import open_source
from ..errors import UserError
from ..images import read_image
from .inputs import Video

#: Frames of a video that are shown; of longer ones every n-th is.
MAX_FRAMES = 160
# Longer side, as a share of what was asked for, and quality, the best first.
_STEPS = ((1., 80), (.8, 72), (.6, 65), (.5, 55))


def shown_frames(length: int, stride: int = 1) -> list[int]:
    """Numbers of the frames that are shown of a video."""
    return list(range(0, length, stride * -(-length // MAX_FRAMES) or 1))


class FrameReader:
    """Finds the frames of videos.

    Args:
        place: folder that file names are relative to; or a video, a folder of
            frames or a pattern, if there is one video; None: no frames.
        videos: those that will be read.

    Raises:
        UserError: if it cannot hold their frames.
    """

    def __init__(self, place: str | None, videos: Sequence[Video]) -> None:
        self.place = place
        if place is None:
            return
        self._relative = bool(videos) and all(
            v.files and (Path(place) / v.files[0]).is_file() for v in videos)
        if self._relative:
            return
        if len(videos) != 1:
            named = next((v for v in videos if v.files and not (
                Path(place) / v.files[0]).is_file()), None)
            lacking = (f'it lacks {named.files[0]}' if named and named.files
                       else 'the names of their frames are not known (--gt '
                       'with file_names says them)')
            raise UserError(
                f'--frames {place} does not hold the frames of the '
                f'{len(videos)} videos: {lacking}; show one with --video.')
        source = open_source(place)  # refused now, not at the end
        if source.live:
            raise UserError(f'--frames {place} is a live source; give the '
                            'recorded video.')

    def inputs(self, videos: Sequence[Video]) -> list[Path]:
        """Files that are read and must not be written."""
        if self.place is None:
            return []
        if self._relative:
            return [Path(self.place) / name
                    for v in videos for name in v.files or ()]
        return list(open_source(self.place).files)

    def read(self, video: Video, numbers: Sequence[int]
             ) -> Iterator[np.ndarray]:
        """Some frames of a video, in order.

        Raises:
            UserError: if one is missing or of another size than its masks.
            SourceError: if the source cannot be read.
        """
        assert self.place is not None
        if self._relative:
            names = [Path(self.place) / (video.files or [])[t]
                     for t in numbers]
            for name in names:
                yield self._checked(_read(name), video, str(name))
            return
        count, wanted = 0, set(numbers)
        source = open_source(self.place)
        if source.length is not None and source.length < video.length:
            self._too_short(video, source.length)
        for t, frame in enumerate(islice(source, video.length)):
            count += 1
            if t in wanted:
                yield self._checked(frame, video, f'frame {t} of {self.place}')
        if count < video.length:
            self._too_short(video, count)

    def _too_short(self, video: Video, count: int) -> None:
        raise UserError(
            f'--frames {self.place} has {count} frames, but {video.name} '
            f'has {video.length} in the results: give the video that they '
            'were made of.')

    def _checked(self, frame: np.ndarray, video: Video,
                 name: str) -> np.ndarray:
        if frame.shape[:2] != video.size:
            raise UserError(
                f'{name} is {frame.shape[1]}x{frame.shape[0]} pixels, but the '
                f'masks of {video.name} are {video.size[1]}x{video.size[0]} '
                '(width x height): give the frames that they were made of.')
        return frame


def encode_frames(frames: dict[int, np.ndarray],
                  limit: int) -> tuple[dict[int, str], bool]:
    """Frames as data addresses that together stay below a limit.

    First pictures become smaller and coarser, then fewer.

    Args:
        frames: by number, (H, W, 3), uint8, BGR.
        limit: bytes of text.

    Returns:
        Addresses by number, and whether something had to be given up.
    """
    for step, (scale, quality) in enumerate(_STEPS):
        found = {t: _jpeg(f, scale, quality) for t, f in frames.items()}
        if sum(map(len, found.values())) <= limit:
            return found, step > 0
    while found and sum(map(len, found.values())) > limit:
        kept = list(found)[::2] if len(found) > 1 else []
        found = {t: found[t] for t in kept}
    return found, True


def shrink(frame: np.ndarray, side: int) -> np.ndarray:
    """A frame whose longer side is at most ``side``."""
    scale = side / max(frame.shape[:2])
    if scale >= 1:
        return frame
    return cv2.resize(frame, None, fx=scale, fy=scale,
                      interpolation=cv2.INTER_AREA)


def _jpeg(frame: np.ndarray, scale: float, quality: int) -> str:
    if scale < 1:
        frame = shrink(frame, max(round(max(frame.shape[:2]) * scale), 16))
    good, data = cv2.imencode('.jpg', frame,
                              [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    text = base64.b64encode(data.tobytes()).decode()
    return f'data:image/jpeg;base64,{text}'


def _read(path: Path) -> np.ndarray:
    try:
        return read_image(path)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error
