"""Streams of several scenes: none of one scene's objects is in the next."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import cv2
import numpy as np
from mmengine.structures import InstanceData

#: Frames are looked at in this size, width and height, in so many cells each
#: way, and in so many bins of each colour channel.
_SIZE, _CELLS, _BINS = (64, 48), 4, 16


class CutDetector:
    """Tells the frames with which a new scene begins; one object a video.

    Compares how colours are distributed in the parts of a frame and of the
    frame before. Hard cuts are found; slow fades are not.

    Args:
        threshold (float): Share of a frame's colours that must differ, in
            (0, 1); a higher one finds fewer cuts, and fewer of what are none,
            such as a flash. Defaults to 0.45: real videos stay below 0.1
            between cuts.
        min_length (int): Frames that a scene has at least; a higher one keeps
            a flicker from being a scene a frame. Defaults to 5.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, threshold: float = 0.45, min_length: int = 5) -> None:
        if not 0 < threshold < 1:
            raise ValueError('threshold of a cut must be between 0 and 1, '
                             f'got {threshold}.')
        if min_length < 1:
            raise ValueError('min_length of a scene must be at least 1, got '
                             f'{min_length}.')
        self.threshold = threshold
        self.min_length = min_length
        self._before: np.ndarray | None = None
        self._length = 0

    def __call__(self, frame: np.ndarray) -> bool:
        """Take the next frame.

        Args:
            frame (np.ndarray): (H, W, 3), uint8, BGR.

        Returns:
            bool: Whether a scene begins with it that is not the first.
        """
        colours = _colours(frame)
        cut = (self._before is not None and self._length >= self.min_length
               and difference(self._before, colours) > self.threshold)
        self._before = colours
        self._length = 1 if cut else self._length + 1
        return cut


def difference(before: np.ndarray, now: np.ndarray) -> float:
    """Share of the colours of a frame that another does not have, 0 to 1."""
    return float(np.abs(before - now).sum()) / 2


def _colours(frame: np.ndarray) -> np.ndarray:
    """Histograms of the colour channels in each cell of a frame; all sum to
    1. A value counts in the two bins next to it, so that a little more light
    changes little."""
    small = cv2.resize(frame, _SIZE, interpolation=cv2.INTER_AREA)
    place = small * np.float32(_BINS / 256) - np.float32(.5)
    lower = np.floor(place)
    share = place - lower
    rows, columns = (np.arange(side) * _CELLS // side
                     for side in small.shape[:2])
    group = ((rows[:, None] * _CELLS + columns)[..., None] * 3
             + np.arange(3)) * _BINS
    found = [
        np.bincount((group + np.clip(bins, 0, _BINS - 1).astype(int)).ravel(),
                    weight.ravel(), _CELLS**2 * 3 * _BINS)
        for bins, weight in ((lower, 1 - share), (lower + 1, share))]
    return (found[0] + found[1]) / small.size


class Following(Protocol):
    """What a session is asked for; see ``InferenceSession``."""

    def step(self, frames: np.ndarray) -> list[InstanceData]:
        """Take a frame."""

    def flush(self) -> list[InstanceData]:
        """End the video."""


def follow_scenes(begin: Callable[[], Following],
                  frames: Iterable[np.ndarray],
                  cuts: CutDetector | None = None,
                  max_scene: int | None = None
                  ) -> Iterator[tuple[np.ndarray, InstanceData]]:
    """Every frame with its FrameResult, a session a scene.

    Args:
        begin (Callable): Begins a session.
        frames (Iterable[ndarray]): Of all scenes.
        cuts (CutDetector, optional): Ends scenes where it finds a cut.
            Defaults to None, there is one scene.
        max_scene (int, optional): Frames after which a new session begins
            anyway, at least 1, so that what is kept of the tracks stays
            bounded, however long the stream is. Defaults to None, no limit.

    Yields:
        tuple: The frame as it was given, and its FrameResult with the
        metainfo ``scene``, from 0. Identities and ``frame_id`` go on: no
        identity is in two scenes.

    Raises:
        ValueError: If ``max_scene`` is below 1.
    """
    if max_scene is not None and max_scene < 1:
        raise ValueError('max_scene must be at least 1 or None, got '
                         f'{max_scene}.')
    waiting: deque[np.ndarray] = deque()
    session = begin()
    scene = first = next_id = top = 0

    def named(results: list[InstanceData]
              ) -> Iterator[tuple[np.ndarray, InstanceData]]:
        nonlocal top
        for result in results:
            result.instances_id = result.instances_id + next_id
            result.set_metainfo(dict(
                frame_id=result.frame_id + first, scene=scene))
            top = max([top, *(result.instances_id + 1).tolist()])
            yield waiting.popleft(), result

    for number, frame in enumerate(frames):
        # Asked of every frame: it knows the one before.
        cut = cuts is not None and cuts(frame)
        if cut or number - first == max_scene:
            yield from named(session.flush())
            session = begin()
            scene, first, next_id = scene + 1, number, top
        waiting.append(frame)
        yield from named(session.step(frame))
    yield from named(session.flush())
