"""The one reader of images: training, converters, validator and demo.

A picture is read as it is shown: turned as its EXIF orientation says. Imports
neither torch nor mmdet.
"""
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
# How a complete file ends; what lacks it is looked at closely.
_ENDINGS = ((b'\xff\xd8', b'\xff\xd9'), (b'\x89PNG', b'IEND\xaeB`\x82'))
_ORIENTATION = 274
# What Pillow and OpenCV raise for damaged files, besides what Pillow raises
# for a size that would take gigabytes.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError,
            TypeError, OverflowError, struct.error, zlib.error, cv2.error)
# Folders of which it was said that their images are nearly black.
_warned: set[Path] = set()
# From what is stored to what is shown.
_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def natural_order(names: Sequence[str]) -> list[str]:
    """Sort file names with their numbers as numbers (9 before 10).

    Args:
        names (Sequence[str]): Names or paths.

    Returns:
        list[str]: In order; '1' and '01' by their text.
    """

    def parts(name: str) -> tuple[list[tuple[int, int, str]], str]:
        # Python reads no number of more digits than some thousand.
        return [(0, int(p), '') if p.isdecimal() and len(p) < 4000 else
                (1, 0, p) for p in re.split(r'(\d+)', name) if p], name

    return sorted(names, key=parts)


def list_images(folder: str | Path,
                suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Images of a folder, in natural order.

    Args:
        folder (str | Path): Folder; what is hidden in it is passed over.
        suffixes (Sequence[str]): In lower case; those of files may be in
            capitals.

    Returns:
        list[Path]: Paths of its images.
    """
    names = [p.name for p in Path(folder).iterdir()
             if p.suffix.lower() in suffixes and not p.name.startswith('.')
             and p.is_file()]
    return [Path(folder) / name for name in natural_order(names)]


def list_folders(folder: str | Path) -> list[Path]:
    """Folders of a folder, in natural order, without hidden ones.

    Args:
        folder (str | Path): Folder; ``.ipynb_checkpoints`` and the like in
            it are passed over.
    """
    names = [p.name for p in Path(folder).iterdir()
             if p.is_dir() and not p.name.startswith('.')]
    return [Path(folder) / name for name in natural_order(names)]


@contextmanager
def decoding(otherwise: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence.

    Args:
        otherwise (str): It.

    Raises:
        ValueError: If the image cannot be decoded.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise ValueError(otherwise) from error


def is_cut_off(data: bytes) -> bool:
    """Whether an encoded JPEG or PNG lacks its end.

    Decoders fill the missing part of such a file with grey and go on. The
    end marker settles most files at no cost; a file with something after it
    is decoded by Pillow, which does complain.
    """
    for start, end in _ENDINGS:
        if data.startswith(start):
            if data.rstrip(b'\0').endswith(end):
                return False
            try:
                Image.open(io.BytesIO(data)).load()
            except Image.DecompressionBombError:
                return False  # who decodes it refuses it
            except _DAMAGED:
                return True
    return False


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file.

    Args:
        path (str | Path): The file.

    Returns:
        np.ndarray: See :func:`decode_image`.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it cannot be read, or see :func:`decode_image`.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f'The frame {path} does not exist.') from error
    except OSError as error:  # a folder, or not ours to read
        raise ValueError(f'The frame {path} cannot be read: {error.strerror}.'
                         ) from error
    return decode_image(data, path)


def decode_image(data: bytes, name: str | Path) -> np.ndarray:
    """Decode an image as it is shown.

    Of 16 bits the upper 8 are kept; where these are nearly all black, as for
    12-bit values in 16-bit files, a warning names the file.

    Args:
        data (bytes): Content of an image file.
        name (str | Path): Its name, for messages.

    Returns:
        np.ndarray: (H, W, 3), uint8, BGR.

    Raises:
        ValueError: If it is cut off or no image of 8 or 16 bits.
    """
    if not data or is_cut_off(data):
        raise ValueError(f'The frame {name} is cut off ({len(data)} bytes); '
                         'fetch it again.')
    # OpenCV knows the orientation of some formats only, which differ from
    # release to release.
    flags = (cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
             | cv2.IMREAD_IGNORE_ORIENTATION)
    with decoding(f'The frame {name} is not a readable image.'):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise ValueError(f'The frame {name} is not a readable image.')
    if image.dtype == np.uint16:
        _warn_if_dark(image, Path(name))
        image = (image.astype(np.uint16) >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ValueError(f'The frame {name} has {image.dtype} values: give '
                         'images of 8 or 16 bits.')
    turn = _TURNS.get(_orientation(data))
    return image if turn is None else np.ascontiguousarray(turn(image))


def image_size(data: bytes) -> tuple[int, int]:
    """Height and width of an image as it is shown, from its header.

    Args:
        data (bytes): Content of an image file, or its beginning.

    Raises:
        ValueError: If it is no image.
    """
    with decoding('is not a readable image'), \
            Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    turned = _orientation(data) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def open_upright(path: str | Path) -> Image.Image:
    """Open an image with Pillow, which keeps palettes, as it is shown.

    Args:
        path (str | Path): The file.

    Raises:
        ValueError: If it is no image.
    """
    with decoding(f'{path} is not a readable image.'), \
            Image.open(path) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def _orientation(data: bytes) -> int:
    """EXIF orientation that is still to be applied, 1 for none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Both libraries turn TIFF by themselves.
            if image.format == 'TIFF':
                return 1
            return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged header has no orientation
        return 1


def largest_of_16_bits(path: str | Path) -> int | None:
    """Largest value of an image of 16 bits, None for others and broken ones.

    Args:
        path (str | Path): An image file; of 8 bits the header is read alone.
    """
    with open(path, 'rb') as file:
        head = file.read(32)
        if head.startswith(b'\x89PNG'):
            deep = head[24:25] == b'\x10'
        else:
            deep = head[:4] in (b'II*\0', b'MM\0*')  # TIFF: only when read
        if not deep:
            return None
        data = head + file.read()
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8),
                             cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        return None
    if image is None or image.dtype != np.uint16:
        return None
    return int(image.max())


def dark_note(largest: int) -> str | None:
    """What to say of values of 16 bits that are nearly black once read.

    Args:
        largest (int): The largest of them.

    Returns:
        str | None: A part of a sentence; None where they are not so.
    """
    if not 0 < largest < 4096:
        return None
    bits = next(b for b in (8, 10, 12) if largest < 2**b)
    return (f'is a file of 16 bits with values up to {largest}: these look '
            f'like {bits} bits and are read as nearly black; multiply them '
            f'by {2**(16 - bits)}')


def _warn_if_dark(image: np.ndarray, name: Path) -> None:
    note = dark_note(int(image.max()))
    if note is not None and name.parent not in _warned:
        _warned.add(name.parent)
        warnings.warn(f'{name} {note} (said once a folder).', stacklevel=3)
