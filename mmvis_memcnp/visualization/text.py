"""Smooth text in any script on images, without a font of our own."""
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # The one font that is certain to be installed: matplotlib brings it.
    # Loading matplotlib for its name takes as long as drawing a picture.
    spec = find_spec('matplotlib')
    assert spec is not None and spec.origin is not None
    data = Path(spec.origin).parent / 'mpl-data'
    if not data.is_dir():
        import matplotlib
        data = Path(matplotlib.get_data_path())
    return ImageFont.truetype(str(data / 'fonts' / 'ttf' / 'DejaVuSans.ttf'),
                              size)


@lru_cache(maxsize=512)
def text_mask(text: str, size: int) -> np.ndarray:
    """Coverage of a line of text.

    Args:
        text (str): One line.
        size (int): Font size in pixels.

    Returns:
        np.ndarray: (h, w) in 0..1; all texts of one size have one height.
    """
    font = _font(size)
    ascent, descent = font.getmetrics()
    width = max(1, round(font.getlength(text)))
    canvas = Image.new('L', (width, ascent + descent))
    ImageDraw.Draw(canvas).text((0, 0), text, fill=255, font=font)
    return np.asarray(canvas, dtype=np.float32) / 255


def text_size(image: np.ndarray) -> int:
    """Font size in pixels that reads well on an image of this size."""
    return int(np.clip(round(.032 * min(image.shape[:2])), 10, 40))


def chip_shape(text: str, size: int) -> tuple[int, int]:
    """Height and width in pixels of the chip that :func:`put_chip` draws."""
    height, width = text_mask(text, size).shape
    return height + size // 5, width + 2 * (size // 3)


def put_chip(image: np.ndarray, text: str, top: int, left: int, size: int,
             color: Color, background: Color) -> None:
    """Write text on a filled rectangle, in place.

    Args:
        image (np.ndarray): (H, W, 3), uint8, BGR.
        text (str): One line.
        top (int): First row; what lies beyond the image is cut off.
        left (int): First column.
        size (int): Font size in pixels.
        color (tuple): Of the text, BGR.
        background (tuple): Of the rectangle, BGR.
    """
    height, width = chip_shape(text, size)
    mask = text_mask(text, size)
    alpha = np.zeros((height, width, 1), dtype=np.float32)
    pad = size // 10, size // 3
    alpha[pad[0]:pad[0] + mask.shape[0],
          pad[1]:pad[1] + mask.shape[1], 0] = mask
    ink, ground = (np.array(c, np.float32) for c in (color, background))
    chip = (1 - alpha) * ground + alpha * ink
    y0, x0 = max(top, 0), max(left, 0)
    y1 = min(top + height, image.shape[0])
    x1 = min(left + width, image.shape[1])
    if y1 > y0 and x1 > x0:
        image[y0:y1, x0:x1] = chip[y0 - top:y1 - top, x0 - left:x1 - left]
