"""labelme: a json beside each image.

Shapes are those of ``shape_to_mask`` and the masks of ``utils/shape.py`` at
github.com/wkentaro/labelme; lines and points have no area.
"""
import base64
import io
import math
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path, PureWindowsPath

import numpy as np
from PIL import Image
from pycocotools import mask as mask_utils

from ..images import decoding, list_images
from ..results.json_rules import is_number, parse_json
from ..results.rle import RLE, short
from .videos import (
    LabelledVideo,
    ObjectTrack,
    Source,
    by_stem,
    folder_sources,
    frame_names,
    pixels_code,
    polygon_code,
    size_of,
)


def find(frames: Path, annotations: Path) -> list[Source]:
    """The videos of a data set.

    Args:
        frames: Folder of frames of one video, or of folders.
        annotations: The same folder, or one laid out alike, with the jsons.
    """
    return folder_sources(frames, annotations, read_video)


def read_video(name: str, folder: Path, jsons: Path) -> LabelledVideo:
    """Read a video.

    An object is a label together with a ``group_id``; without one, a label
    alone. Shapes of an object at one frame are united where they have a
    ``group_id``, and refused where they have none.

    Raises:
        ValueError: If a json is broken or has no frame.
    """
    images = by_stem(list_images(folder))
    labelled = by_stem(list_images(jsons, ('.json', )))
    lone = [path for stem, path in labelled.items() if stem not in images]
    if lone:
        raise ValueError(f'{lone[0]} has no frame in {folder}.')
    if not labelled:
        raise ValueError(f'{jsons} has no json; there is nothing to convert.')
    used = [path for stem, path in images.items() if stem in labelled]
    size = size_of(used)
    objects: dict[str, ObjectTrack] = {}
    left_out: Counter[str] = Counter()
    for t, path in enumerate(used):
        for key, label, codes in _read_frame(labelled[path.stem], size,
                                             left_out, images.keys()):
            track = objects.setdefault(key, ObjectTrack(key, label, {}))
            track.codes[t] = mask_utils.merge(codes)
    said = [f'Warning: {name}: {count} shapes of the type {kind} are left '
            'out; polygons, rectangles, circles and masks are read.'
            for kind, count in sorted(left_out.items())]
    if len(used) < len(images):
        said.append(f'{name}: {len(images) - len(used)} frames have no json '
                    'and are left out.')
    both = sorted({track.label for key, track in objects.items()
                   if key != track.label} & objects.keys())
    said += [f'Warning: {name}: {label} is there with and without group_id; '
             'these are different objects.' for label in both]
    return LabelledVideo(name, size, frame_names(name, folder, used),
                         list(objects.values()), said)


def _read_frame(path: Path, size: tuple[int, int], left_out: Counter[str],
                frames: Collection[str]) -> list[tuple[str, str, list[RLE]]]:
    """Objects of a frame: key, label and masks.

    Raises:
        ValueError: If the json is broken, or is one of another of the frames.
    """
    data = parse_json(path)
    shapes = data.get('shapes') if isinstance(data, dict) else None
    if not isinstance(shapes, list):
        raise ValueError(f'{path} is no json of labelme: it has no list '
                         '"shapes".')
    sides = tuple(data.get(key) for key in ('imageHeight', 'imageWidth'))
    if None not in sides and sides != size:
        raise ValueError(
            f'{path} is of an image of {short(sides[1])}x{short(sides[0])} '
            f'pixels, but its frame has {size[1]}x{size[0]} (as shown).')
    # Where a json lies and what it says may differ: labelme shows the latter.
    named = data.get('imagePath')
    stem = PureWindowsPath(named).stem if isinstance(named, str) else path.stem
    if stem != path.stem and stem in frames:
        raise ValueError(f'{path} is of another frame, {short(named)}, as its '
                         'imagePath says: correct that, or the name.')
    found: dict[str, tuple[str, str, list[RLE]]] = {}
    for index, shape in enumerate(shapes):
        where = f'{path}, shape {index}'
        if not isinstance(shape, dict):
            raise ValueError(f'{where}: it is {short(shape)}, not an object '
                             'with fields.')
        label, group = shape.get('label'), shape.get('group_id')
        if not isinstance(label, str) or not label:
            raise ValueError(f'{where}: its label is {short(label)}, not a '
                             'name.')
        if group is not None and type(group) is not int:
            raise ValueError(f'{where}: its group_id is {short(group)}, not '
                             'a whole number or null.')
        code = _code(shape, size, where)
        if code is None:
            left_out[str(shape.get('shape_type'))] += 1
            continue
        key = label if group is None else f'{label}:{group}'
        if key in found and group is None:
            raise ValueError(
                f'{where}: {label} is there for the second time without '
                'group_id; give each object a group_id, the same in all '
                'frames.')
        found.setdefault(key, (key, label, []))[2].append(code)
    return list(found.values())


def _code(shape: Mapping, size: tuple[int, int], where: str) -> RLE | None:
    """Mask of a shape, None for a type without area.

    Raises:
        ValueError: If it cannot be read.
    """
    kind = shape.get('shape_type')
    if kind in (None, 'oriented_rectangle'):  # the latter has four corners
        kind = 'polygon'
    if kind not in ('polygon', 'rectangle', 'circle', 'mask'):
        if not isinstance(kind, str):
            raise ValueError(f'{where}: its shape_type is {short(kind)}.')
        return None
    points = shape.get('points')
    if not isinstance(points, list) or not all(
            isinstance(p, list) and len(p) == 2 and all(map(is_number, p))
            for p in points):
        raise ValueError(f'{where}: its points are not a list of pairs of '
                         'finite numbers.')
    if kind == 'polygon':
        if len(points) < 3:
            raise ValueError(f'{where}: the polygon has {len(points)} '
                             'points; it needs three.')
        return polygon_code(np.array(points, float), size, where)
    if len(points) != 2:
        raise ValueError(f'{where}: the {kind} has {len(points)} points, not '
                         'two.')
    (x1, y1), (x2, y2) = points
    if kind == 'circle':
        radius = math.dist(*points)
        if radius > 2 * sum(size):  # far out of it in any case
            raise ValueError(f'{where}: the circle has a radius of '
                             f'{radius:.4g} pixels in a frame of '
                             f'{size[1]}x{size[0]}.')
        return polygon_code(_circle(x1, y1, radius), size, where)
    if kind == 'rectangle':
        return polygon_code(np.array(
            [[x1, y1], [x2, y1], [x2, y2], [x1, y2]], float), size, where)
    return _placed(shape.get('mask'), (x1, y1, x2, y2), size, where)


def _circle(x: float, y: float, radius: float) -> np.ndarray:
    """Points of a circle, (N, 2), at most a tenth of a pixel inside it."""
    count = max(12, min(1000, math.ceil(math.pi / math.acos(
        1 - min(1, .1 / max(radius, .1))))))
    angle = 2 * math.pi * np.arange(count) / count
    return np.stack([x + radius * np.cos(angle),
                     y + radius * np.sin(angle)], axis=1)


def _placed(text: object, box: tuple[float, float, float, float],
            size: tuple[int, int], where: str) -> RLE:
    """Mask of a picture (PNG in base64) that fills a box, ends included.

    Raises:
        ValueError: If it is no picture, or not of the size of the box.
    """
    if not isinstance(text, str):
        raise ValueError(f'{where}: its mask is {short(text)}, not a picture '
                         'in base64.')
    otherwise = f'{where}: its mask is no readable PNG in base64.'
    with decoding(otherwise):  # base64 raises a ValueError
        data = base64.b64decode(text, validate=True)
        image = Image.open(io.BytesIO(data), formats=('PNG', ))
    # Looked at before it is decoded: a header can promise much.
    given = image.size
    wanted = tuple(int(round(b)) - int(round(a)) + 1
                   for a, b in (box[::2], box[1::2]))
    # Rounded each for itself, corners may be a pixel off.
    play = int(any(side % 1 for side in box))
    if (any(abs(a - b) > play for a, b in zip(given, wanted, strict=True))
            or max(given) > 3 * max(size)):
        raise ValueError(
            f'{where}: its mask has {given[0]}x{given[1]} pixels, but its '
            f'corners are {wanted[0]}x{wanted[1]} apart (in a frame of '
            f'{size[1]}x{size[0]}).')
    with decoding(otherwise):
        pixels = np.array(image.convert('L')) > 0
    return pixels_code(pixels, int(round(box[0])), int(round(box[1])), size)
