"""Pictures and videos that are either written whole or not at all."""
import tempfile
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ..results.files import replacing
from .quiet_opencv import quiet_stderr

# By name: OpenCV's code and the suffix of the container that browsers expect,
# in the order of preference. OpenCV's vp9 takes five times as long as its vp8,
# for files of 60 % of the size.
CODECS = dict(h264=('avc1', '.mp4'), vp8=('VP80', '.webm'),
              vp9=('vp09', '.mp4'), mp4v=('mp4v', '.mp4'))
BROWSER_CODECS = ('h264', 'vp8', 'vp9')


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture, whole or not at all.

    Args:
        path (str | Path): File with a suffix that OpenCV knows.
        image (np.ndarray): (H, W, 3) or (H, W), uint8, BGR.

    Raises:
        ValueError: If OpenCV cannot write it.
    """
    with replacing(path, durable=False) as temporary:
        save_image(temporary, image)


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture to a name that nobody else reads.

    Args:
        path, image: See :func:`write_image`.

    Raises:
        ValueError: If OpenCV cannot write it.
    """
    if not cv2.imwrite(str(path), image):
        raise ValueError(f'{path} cannot be written: use the suffix .png '
                         'or .jpg.')


def find_codec(codec: str = 'auto') -> str:
    """A codec that OpenCV can write here.

    Args:
        codec (str): Of :data:`CODECS`, or ``'auto'``, the first of these that
            works. Defaults to ``'auto'``.

    Returns:
        str: Its name.

    Raises:
        ValueError: If OpenCV has no such codec.
    """
    for name in CODECS if codec == 'auto' else (codec, ):
        if _works(name):
            return name
    raise ValueError(f'OpenCV {cv2.__version__} cannot write videos with the '
                     f'codec {codec}: use --codec auto or mp4v, or '
                     '--no-video.')


@cache
def _works(name: str) -> bool:
    """Whether a file of this codec can be opened."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f'a{CODECS[name][1]}')
        writer = _open(path, name, 10., (64, 64))
        opened = writer.isOpened()
        writer.release()
    return opened


def _open(path: Path, name: str, fps: float,
          size: tuple[int, int]) -> cv2.VideoWriter:
    with quiet_stderr() if name == 'vp8' else nullcontext():
        return cv2.VideoWriter(
            str(path), cv2.VideoWriter.fourcc(*CODECS[name][0]), fps, size)


class VideoWriter:
    """Writes a video, with a codec that browsers play if OpenCV has one.

    Args:
        path (str | Path): The file, with the suffix of the codec
            (:data:`CODECS`).
        fps (float): Frames a second.
        shape (tuple[int, int]): (H, W) of the frames. Odd sides get a pixel
            more, which codecs ask for.
        codec (str): ``'h264'``, ``'vp8'``, ``'vp9'`` (small files, slow to
            write), ``'mp4v'`` (fast; for players, not browsers) or
            ``'auto'``, the first of these that works and belongs to the
            suffix. Defaults to ``'auto'``.

    Attributes:
        codec (str): What is used.

    Raises:
        ValueError: If OpenCV has no such codec, or cannot write the file.
    """

    def __init__(self,
                 path: str | Path,
                 fps: float,
                 shape: tuple[int, int],
                 codec: str = 'auto') -> None:
        path = Path(path)
        self._pad = shape[0] % 2, shape[1] % 2
        size = shape[1] + self._pad[1], shape[0] + self._pad[0]
        for name, (_, suffix) in CODECS.items():
            if codec == name or codec == 'auto' and suffix == path.suffix:
                self._writer = _open(path, name, fps, size)
                if self._writer.isOpened():
                    self.codec = name
                    return
        raise ValueError(f'OpenCV cannot write {path} with the codec {codec}: '
                         'use --codec mp4v, or --no-video.')

    def write(self, frame: np.ndarray) -> None:
        """Append a frame (H, W, 3), uint8, BGR."""
        if any(self._pad):
            frame = cv2.copyMakeBorder(frame, 0, self._pad[0], 0,
                                       self._pad[1], cv2.BORDER_REPLICATE)
        self._writer.write(frame)

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
