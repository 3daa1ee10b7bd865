"""Frames that come over a network or from a camera, and may stop coming."""
from __future__ import annotations

import re
import shutil
import string
import tempfile
import threading
import urllib.request
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import cv2
import numpy as np

from ..errors import SourceError

#: Seconds that opening an address, or its next frame, may take.
TIMEOUT = 10.
# Containers may count a frame or two that no decoder gives out.
UNCERTAIN_FRAMES = 2
# How lists of addresses begin: HLS, DASH, SDP. What they name may go on.
_PLAYLISTS = (b'#EXTM3U', b'<', b'v=')


def address_name(address: str) -> str:
    """A short name for the outputs of an address.

    Args:
        address (str): With a scheme, such as ``http://``.

    Returns:
        str: The last part of its path without suffix, else its host; letters,
        digits, ``-``, ``_`` and ``.`` alone.
    """
    parts = urlsplit(address)
    names = (PurePosixPath(unquote(parts.path)).stem, parts.hostname or '')
    for name in names:
        plain = re.sub(r'[^\w.-]+', '_', name).strip('._')
        if plain:
            return plain
    return 'stream'


def shown(address: str) -> str:
    """An address for messages: without user and password."""
    return re.sub(r'//[^/@]*@', '//', address)


def open_capture(address: int | str) -> cv2.VideoCapture:
    """Open a camera or an address.

    Raises:
        SourceError: If that fails.
    """
    if isinstance(address, int):
        capture = cv2.VideoCapture(address)
        what, fix = f'The webcam {address}', 'that it is connected and free'
    else:
        wait = round(1000 * TIMEOUT)
        capture = cv2.VideoCapture(
            address, cv2.CAP_FFMPEG,
            [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait,
             cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait])
        what, fix = shown(address), ('the address, and that its server has a '
                                     'video there and answers')
    if not capture.isOpened():
        capture.release()
        raise SourceError(f'{what} cannot be opened: check {fix}.')
    return capture


def probe(address: str) -> tuple[int | None, float | None, bool]:
    """What an address holds.

    Returns:
        tuple[int | None, float | None, bool]: Number of frames, None for a
        camera and for files that do not say it; frames a second, if they are
        known; and whether the first can be read from there. It cannot where a
        file has its index at the end and its server sends files from the
        start only.

    Raises:
        SourceError: If it cannot be opened.
    """
    capture = open_capture(address)
    try:
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fps = capture.get(cv2.CAP_PROP_FPS)
        good = count <= 0 or capture.grab()
    finally:
        capture.release()
    return (count if count > 0 else None, fps if 0 < fps < 1000 else None,
            good)


def is_file(address: str) -> bool:
    """Whether a server sends a file, whose size it knows, and no stream.

    Containers such as GIF or a row of JPEG pictures tell OpenCV no number of
    frames, as cameras do.

    Args:
        address (str): With a scheme that urllib knows; of others False.
    """
    try:
        with _ask(address) as answer:
            kind = answer.headers.get_content_maintype()
            size = int(answer.headers.get('Content-Length', 0))
            begin = answer.read(16).removeprefix(b'\xef\xbb\xbf').lstrip()
    except (OSError, ValueError, HTTPException):
        return False
    return (size > 0 and kind != 'multipart'
            and not begin.startswith(_PLAYLISTS))


def _ask(address: str) -> Any:
    """The answer of a server, also to addresses that urllib does not take:
    with a user and a password, with letters beyond ASCII."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition('@')
    if not user or parts.scheme.lower() not in ('http', 'https'):
        host, user = parts.netloc, ''
    request = urllib.request.Request(quote(
        urlunsplit(parts._replace(netloc=host)), safe=string.punctuation))
    if user:
        code = b64encode(unquote(user).encode()).decode()
        # Not for the server that this one may point to.
        request.add_unredirected_header('Authorization', f'Basic {code}')
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def fetch(address: str) -> IO[bytes]:
    """A temporary copy of a file on a server; gone when it is closed.

    Raises:
        SourceError: If it does not come as a whole.
    """
    suffix = PurePosixPath(urlsplit(address).path).suffix
    file = tempfile.NamedTemporaryFile(prefix='mmvis_video_', suffix=suffix)
    try:
        with _ask(address) as answer:
            shutil.copyfileobj(answer, file)
            wanted = answer.headers.get('Content-Length')
        file.flush()
        if wanted is None or file.tell() == int(wanted):
            return file
        reason = f'{file.tell()} of {wanted} bytes came'
    except (OSError, ValueError, HTTPException) as error:
        reason = str(error)
    file.close()
    raise SourceError(f'{shown(address)} cannot be fetched ({reason}): '
                      'download it, and give the file.')


def read_recorded(address: str, expected: int,
                  name: str | None = None) -> Iterator[np.ndarray]:
    """Frames of a video file on a server.

    Where the connection breaks, what came is all there is, and a warning says
    so: it would be lost otherwise.

    Args:
        address (str): Of the file.
        expected (int): Number of its frames, 0 if it is not known.
        name (str, optional): What messages call it. Defaults to the address.

    Raises:
        SourceError: If it cannot be opened.
    """
    count = 0
    for frame in _all_frames(open_capture(address)):
        count += 1
        yield frame
    if count < expected - UNCERTAIN_FRAMES:
        warnings.warn(
            f'{shown(name or address)} stopped after {count} of {expected} '
            'frames: the connection broke, or nothing came for '
            f'{TIMEOUT:g} seconds; the result is that of these frames.',
            stacklevel=2)


class LiveFrames:
    """Frames of a camera or stream; iterating goes on with what comes now.

    Args:
        address (int | str): Number of a camera, or an address.
        drop (bool): Give the newest frame and leave out those that came
            while the one before was worked on, so that results are never
            late. False gives every frame, later and later if work is slower
            than the camera.

    Attributes:
        dropped (int): Frames left out so far.
    """

    def __init__(self, address: int | str, drop: bool = True) -> None:
        self.address = address
        self.drop = drop
        self.dropped = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames (H, W, 3), uint8, BGR.

        Raises:
            SourceError: If there is no such camera or stream.
        """
        frames = _all_frames(open_capture(self.address))
        count = 0
        for frame in self._newest(frames) if self.drop else frames:
            count += 1
            yield frame
        if count:
            what = (f'The webcam {self.address}' if isinstance(
                self.address, int) else shown(self.address))
            warnings.warn(
                f'{what} stopped: it ended, the connection broke, or nothing '
                f'came for {TIMEOUT:g} seconds; the result is that of {count} '
                f'frames{self._left_out()}.', stacklevel=2)

    def _left_out(self) -> str:
        return f', {self.dropped} more were left out' if self.dropped else ''

    def _newest(self, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Read in a thread that is always ahead."""
        box = _Box()
        thread = threading.Thread(
            target=_fill, args=(frames, box), daemon=True,
            name='camera')
        thread.start()
        try:
            while True:
                frame, skipped = box.take()
                self.dropped += skipped
                if frame is None:
                    return
                yield frame
        finally:
            box.close()
            # One that waits for a frame ends with that, or with the program.
            thread.join(1.)


class _Box:
    """Holds the newest frame, from one thread to another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: np.ndarray | None = None
        self._skipped = 0
        self._ended = False
        self._error: Exception | None = None

    def put(self, frame: np.ndarray) -> bool:
        """Replace the frame; False when nobody wants more."""
        with self._changed:
            self._skipped += self._frame is not None
            self._frame = frame
            self._changed.notify()
            return not self._ended

    def take(self) -> tuple[np.ndarray | None, int]:
        """Wait for a frame, None at the end; and how many were skipped."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._frame is not None or self._ended)
            if self._frame is None and self._error is not None:
                raise SourceError(f'The camera failed: {self._error}'
                                  ) from self._error
            frame, self._frame = self._frame, None
            skipped, self._skipped = self._skipped, 0
            return frame, skipped

    def close(self, error: Exception | None = None) -> None:
        """Nothing more comes, or is wanted."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()


def _fill(frames: Iterator[np.ndarray], box: _Box) -> None:
    """Put frames into the box until either side ends."""
    error = None
    try:
        for frame in frames:
            if not box.put(frame):
                break
    except Exception as caught:  # raised again where frames are taken
        error = caught
    finally:
        frames.close()  # type: ignore[attr-defined]
        box.close(error)


def _all_frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            yield frame
    finally:
        capture.release()


def one_size(frames: Iterator[np.ndarray],
             check: Callable[[object, int], None]) -> Iterator[np.ndarray]:
    """Frames of the size of the first; others are fitted into it.

    A camera may change its resolution while it runs. Its frames are scaled as
    a whole, with black borders where the shape differs.

    Args:
        frames (Iterator[ndarray]): As they come.
        check (Callable): Refuses what is no frame.
    """
    size: tuple[int, int] | None = None
    told = False
    for index, frame in enumerate(frames):
        check(frame, index)
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            if not told:
                warnings.warn(
                    f'Frame {index} is {frame.shape[1]}x{frame.shape[0]} '
                    f'pixels and is fitted into the {size[1]}x{size[0]} '
                    '(width x height) of the first; so are further ones.',
                    stacklevel=2)
            told = True
            frame = fit_frame(frame, size)
        yield frame


def fit_frame(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame scaled into a size, its shape kept, black around it.

    Args:
        frame (np.ndarray): (h, w, 3), uint8.
        size (tuple[int, int]): (H, W).

    Returns:
        np.ndarray: (H, W, 3), uint8.
    """
    scale = min(new / old for new, old in zip(size, frame.shape, strict=False))
    height, width = (min(max(round(side * scale), 1), most)
                     for side, most in zip(frame.shape, size, strict=False))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    out = np.zeros((*size, 3), np.uint8)
    out[top:top + height, left:left + width] = cv2.resize(
        frame, (width, height), interpolation=how)
    return out
