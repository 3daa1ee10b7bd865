"""One reader for everything that frames come from."""
import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np

from ..errors import SourceError
from ..images import IMAGE_SUFFIXES, list_images, natural_order, read_image
from .streams import (
    UNCERTAIN_FRAMES,
    LiveFrames,
    address_name,
    fetch,
    is_file,
    one_size,
    probe,
    read_recorded,
)

Source = str | Path | int | np.ndarray | Iterable


@dataclass(frozen=True)
class FrameSource:
    """Frames of a video, one at a time.

    Iterating gives arrays (H, W, 3), uint8, BGR, all of one size, and starts
    from the beginning each time (a webcam, a stream or a generator of arrays
    goes on instead). Frames of a camera that changes its resolution are
    fitted into the size of the first.

    Attributes:
        name (str): Short name, fit for naming output files.
        length (int, optional): Number of frames, None if not known.
        fps (float, optional): Frames a second, None if not known.
        live (bool): Whether it ends only when somebody stops it.
        files (Sequence[Path]): What is read and must not be written.
        stored (bool): Whether frames may be taken before their turn: those of
            files, here or on a server. A camera's come when they come, and
            who makes arrays may use the same one again.
    """
    name: str
    length: int | None
    fps: float | None
    live: bool
    files: Sequence[Path]
    stored: bool
    _frames: Iterable[np.ndarray]
    _max_frames: int | None = None

    @property
    def dropped(self) -> int:
        """Frames of a live source that were left out so far."""
        return getattr(self._frames, 'dropped', 0)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames in order.

        Raises:
            SourceError: If a frame cannot be read, has another size than the
                first, or if there is none.
        """
        size, count = None, 0
        frames = iter(self._frames)
        if self.live:
            frames = one_size(frames, check_frame)
        for frame in islice(frames, self._max_frames):
            check_frame(frame, count)
            if size is not None and frame.shape[:2] != size:
                raise SourceError(
                    f'Frame {count} of {self.name} is {_size(frame)} pixels, '
                    f'but the frames before it are {size[1]}x{size[0]} (width '
                    'x height): give all frames of a video one size.')
            size, count = frame.shape[:2], count + 1
            yield frame
        if count == 0:
            raise SourceError(f'{self.name} has no frames: give a video, or '
                              'a folder of images, that has at least one.')


def open_source(source: Source,
                max_frames: int | None = None,
                allow_broken: bool = False,
                drop_frames: bool = True) -> FrameSource:
    """Find out what a source is and prepare to read it.

    Args:
        source: A video file; a folder of images or a glob pattern, in natural
            order (2 before 10); an image; a webcam as its number or
            ``'webcam:0'``; the address of a stream (``rtsp://...``) or of a
            video file on a server (``https://...``); an array (T, H, W, 3) or
            any iterable of arrays (H, W, 3), uint8, BGR; a list of image
            files.
        max_frames (int, optional): Stop after so many.
        allow_broken (bool): Let a video that breaks off end there instead of
            raising. One on a server always does, with a warning. Defaults to
            False.
        drop_frames (bool): Of live sources: give the newest frame and leave
            out those that came while the one before was worked on. False
            gives every frame, later and later if work is slower than the
            camera. Defaults to True.

    Returns:
        FrameSource: The frames.

    Raises:
        SourceError: If there is no such thing or nothing in it can be read.
    """
    if max_frames is not None and max_frames < 1:
        raise SourceError(
            f'max_frames must be at least 1, got {max_frames}.')
    if isinstance(source, (str, Path, int)):
        opened = _open_named(source, allow_broken, drop_frames)
        name, length, fps, live, files, frames = opened
        stored = not live
    else:
        length = len(source) if isinstance(source, Sized) else None
        if length == 0:
            raise SourceError('The list of frames is empty: give at least '
                              'one.')
        name, fps, live, files, stored = 'frames', None, False, [], False
        frames = _Again(lambda: map(_load_if_path, source))
    if length is not None and max_frames is not None:
        length = min(length, max_frames)
    return FrameSource(name, length, fps, live, files, stored, frames,
                       max_frames)


def check_frame(frame: object, index: int) -> None:
    """Refuse what is not a colour frame.

    Args:
        frame: What should be an array (H, W, 3), uint8.
        index (int): Number of the frame, for the message.

    Raises:
        SourceError: If it is not.
    """
    if (not isinstance(frame, np.ndarray) or frame.dtype != np.uint8
            or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0):
        got = (f'{frame.dtype} of shape {frame.shape}' if isinstance(
            frame, np.ndarray) else f'a {type(frame).__name__}')
        raise SourceError(f'Frame {index} must be a uint8 array of shape '
                          f'(H, W, 3), got {got}.')


def read_frames(source: Source,
                indices: Sequence[int]) -> dict[int, np.ndarray]:
    """Some frames of a source, which is read up to the last of them.

    Args:
        source: See :func:`open_source`.
        indices (Sequence[int]): Numbers of the frames, from 0.

    Returns:
        dict[int, ndarray]: Frames (H, W, 3), uint8, BGR, by number.

    Raises:
        SourceError: If the source cannot be read or is too short.
    """
    opened = open_source(source, max_frames=max(indices) + 1)
    frames = {i: f for i, f in enumerate(opened) if i in set(indices)}
    absent = sorted(set(indices) - set(frames))
    if absent:
        raise SourceError(f'{opened.name} has no frame {absent[0]}: choose '
                          'smaller numbers, which start at 0.')
    return frames


_Opened = tuple[str, int | None, float | None, bool, list[Path],
                Iterable[np.ndarray]]


@dataclass(frozen=True)
class _Again:
    """Frames that begin anew each time."""
    begin: Callable[[], Iterator[np.ndarray]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.begin()


def _open_named(source: str | Path | int, allow_broken: bool,
                drop_frames: bool) -> _Opened:
    """Whatever a path, a pattern, a number or an address stands for."""
    text = str(source)
    camera = re.fullmatch(r'(?:webcam:?)?(\d+)|webcam', text)
    path = Path(text).expanduser()
    if camera and not path.exists():
        number = int(camera[1] or 0)
        return (f'webcam{number}', None, None, True, [],
                LiveFrames(number, drop_frames))
    if text.startswith('file://'):
        return _open_named(url2pathname(urlsplit(text).path), allow_broken,
                           drop_frames)
    if '://' in text:
        return _address(text, drop_frames)
    if path.is_dir():
        files = list_images(path)
        if not files:
            raise SourceError(
                f'The folder {text} has no images ('
                f'{", ".join(s[1:] for s in IMAGE_SUFFIXES)}): give the '
                'folder that holds the frames.')
        return _images(path.resolve().name, files)
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return _images(path.stem, [path])
        return _video(path, allow_broken)
    if glob.has_magic(text):
        files = [Path(p) for p in glob.glob(str(path), recursive=True)
                 if Path(p).suffix.lower() in IMAGE_SUFFIXES
                 and not Path(p).name.startswith('.')]
        if not files:
            raise SourceError(f'No image matches {text}: check the pattern.')
        return _images(files[0].resolve().parent.name, files)
    raise SourceError(f'There is no video, folder or image at {text}: '
                      'correct the path.')


def _address(text: str, drop_frames: bool) -> _Opened:
    """A video file on a server, or a stream."""
    length, fps, good, file = None, None, True, False
    if text.lower().startswith(('http:', 'https:', 'ftp:', 'ftps:')):
        length, fps, good = probe(text)
        file = length is not None or is_file(text)
    name = address_name(text)
    if not file:
        return name, None, None, True, [], LiveFrames(text, drop_frames)
    if length is not None and good:
        return name, length, fps, False, [], _Again(
            lambda: read_recorded(text, length))
    # Where the number of frames is not known, only its size tells that a file
    # came as a whole.
    copied = fetch(text)  # lives as long as what reads it
    found, fps, _ = probe(copied.name)
    return name, found, fps, False, [], _Again(
        lambda: read_recorded(copied.name, found or 0, text))


def _images(name: str, files: list[Path]) -> _Opened:
    ordered = [Path(f) for f in natural_order([str(f) for f in files])]
    return (name, len(files), None, False, ordered,
            _Again(lambda: map(_load_if_path, ordered)))


def _load_if_path(frame: str | Path | np.ndarray) -> np.ndarray:
    """Read a file in the way of the data sets; leave arrays alone."""
    if not isinstance(frame, (str, Path)):
        return frame
    try:
        return read_image(frame)
    except (FileNotFoundError, ValueError) as error:
        raise SourceError(str(error)) from error


def _video(path: Path, allow_broken: bool) -> _Opened:
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise SourceError(
                f'{path} cannot be opened as a video: it is damaged or of a '
                'kind that OpenCV does not read; convert it to mp4, or give '
                'a folder of images.')
        if not capture.grab():
            raise SourceError(f'{path} has no frame that can be read: it is '
                              'empty or damaged.')
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fps = capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()
    return (path.stem, count if count > 0 else None,
            fps if 0 < fps < 1000 else None, False, [path],
            _Again(lambda: _decode(path, count, allow_broken)))


def _decode(path: Path, expected: int,
            allow_broken: bool) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    try:
        count = 0
        while True:
            good, frame = capture.read()
            if not good:
                break
            count += 1
            yield frame
    finally:
        capture.release()
    if count < expected - UNCERTAIN_FRAMES and not allow_broken:
        raise SourceError(
            f'{path} breaks off after {count} of {expected} frames: it is '
            'damaged; repair it, or allow broken videos to keep what comes '
            'before.')


def _size(frame: np.ndarray) -> str:
    return f'{frame.shape[1]}x{frame.shape[0]}'
