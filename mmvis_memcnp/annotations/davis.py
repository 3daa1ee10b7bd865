"""Frames and palette masks in the form of DAVIS."""
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils

from ..images import list_images, open_upright
from ..results.rle import RLE
from .videos import (
    LabelledVideo,
    ObjectTrack,
    Source,
    by_stem,
    folder_sources,
    size_of,
)

VOID = 255
# More objects than this in a video are rather a mistake.
MANY_OBJECTS = 50
# So many values that only form lines are rather the edges of smoothed masks.
MANY_THIN = 3


def find(frames: Path, masks: Path) -> list[Source]:
    """The videos of a data set.

    Args:
        frames: Folder with a folder of frames a video, or of one video.
        masks: Folder laid out alike, with a PNG a frame.
    """
    return folder_sources(frames, masks, read_video)


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Object of every pixel, uint8 (H, W).

    Args:
        path: Picture of 1 or 8 bits, grey or palette. With an alpha channel,
            what is more transparent than not is background.
        size: Height and width of its frames.

    Raises:
        ValueError: If it is another kind of picture or of another size.
    """
    image = open_upright(path)
    if image.mode not in ('P', 'L', '1', 'LA'):
        raise ValueError(f'{path} is a {image.mode} picture; a mask is a '
                         'palette or grey PNG of at most 8 bits.')
    if image.size != size[::-1]:
        raise ValueError(f'{path} has {image.width}x{image.height} pixels, '
                         f'but its frames {size[1]}x{size[0]} as they are '
                         'shown (EXIF orientation applied; width x height).')
    pixels = np.array(image).astype(np.uint8)
    if image.mode == 'LA':
        return np.where(pixels[..., 1] >= 128, pixels[..., 0], 0)
    return pixels


def thick_values(pixels: np.ndarray) -> np.ndarray:
    """Values that fill a square of 3x3 pixels somewhere."""
    square = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(pixels, square), cv2.dilate(pixels, square)
    return np.unique(pixels[low == high])


def objects_of(values: set[int], thick: set[int],
               name: str) -> tuple[list[int], list[str]]:
    """Which values of the masks of a video are objects.

    Args:
        values: All values besides 0.
        thick: Those that fill a square of 3x3 pixels somewhere.
        name: Of the video.

    Returns:
        Values of its objects, ascending, and what must be said.
    """
    objects = sorted(values)
    said = []
    if objects == [VOID]:
        said.append(f'{name}: its masks have the values 0 and {VOID} alone; '
                    f'{VOID} is taken as one object.')
    elif VOID in values:
        objects.remove(VOID)
        said.append(f'{name}: {VOID} is taken as unlabelled, beside the '
                    f'values {_listed(objects)}.')
    thin = sorted(values - thick - {VOID})
    if len(thin) >= MANY_THIN:
        said.append(
            f'Warning: {name}: the values {_listed(thin)} only form lines, '
            'as the edges of smoothed or resized masks do, and each becomes '
            'an object: save the masks without anti-aliasing.')
    if len(objects) > MANY_OBJECTS:
        said.append(f'Warning: {name}: {len(objects)} objects, of the values '
                    f'{_listed(objects)}: are these masks of objects?')
    return objects, said


def _listed(values: list[int]) -> str:
    shown = ', '.join(map(str, values[:20]))
    return shown if len(values) <= 20 else f'{shown}, ... {values[-1]}'


def read_video(name: str, frames: Path, masks: Path) -> LabelledVideo:
    """Read a video; its objects are in the order of their values.

    Raises:
        ValueError: If it has no frame with a mask, or a mask without frame.
    """
    images = by_stem(list_images(frames))
    labelled = by_stem(list_images(masks, ('.png', )))
    lone = [path for stem, path in labelled.items() if stem not in images]
    if lone:
        raise ValueError(f'{lone[0]} has no frame in {frames}.')
    if not labelled:
        raise ValueError(f'{masks} has no PNG; there is nothing to convert.')
    used = [path for stem, path in images.items() if stem in labelled]
    size = size_of(used)
    found: dict[int, dict[int, RLE]] = {}
    thick: set[int] = set()
    for t, path in enumerate(used):
        pixels = read_mask(labelled[path.stem], size)
        values = np.unique(pixels)
        thick.update(thick_values(pixels).tolist())
        for value in values[values > 0].tolist():
            found.setdefault(value, {})[t] = mask_utils.encode(
                np.asfortranarray(pixels == value, dtype=np.uint8))
    objects, said = objects_of(set(found), thick, name)
    if len(used) < len(images):
        said.append(f'{name}: {len(images) - len(used)} frames have no mask '
                    'and are left out.')
    return LabelledVideo(
        name, size, [f'{name}/{path.name}' for path in used],
        [ObjectTrack(str(value), 'object', found[value])
         for value in objects], said)
