"""Pictures and videos that are either written whole or not at all."""
from pathlib import Path

import cv2
import numpy as np

from ..results.files import replacing

# In the order of preference: what browsers play comes first.
CODECS = dict(h264='avc1', vp9='vp09', mp4v='mp4v')
BROWSER_CODECS = ('h264', 'vp9')


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


class VideoWriter:
    """Writes an mp4, with a codec that browsers play if OpenCV has one.

    Args:
        path (str | Path): The file.
        fps (float): Frames a second.
        shape (tuple[int, int]): (H, W) of the frames. Odd sides get a pixel
            more, which codecs ask for.
        codec (str): ``'h264'``, ``'vp9'`` (slow to write), ``'mp4v'`` (fast;
            for players, not browsers) or ``'auto'``, the first of these that
            works. Defaults to ``'auto'``.

    Attributes:
        codec (str): What is used.

    Raises:
        ValueError: If OpenCV has no such codec.
    """

    def __init__(self,
                 path: str | Path,
                 fps: float,
                 shape: tuple[int, int],
                 codec: str = 'auto') -> None:
        self._pad = shape[0] % 2, shape[1] % 2
        size = shape[1] + self._pad[1], shape[0] + self._pad[0]
        for name in CODECS if codec == 'auto' else (codec, ):
            code = cv2.VideoWriter.fourcc(*CODECS[name])
            self._writer = cv2.VideoWriter(str(path), code, fps, size)
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
