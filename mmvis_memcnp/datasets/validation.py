"""Finding every problem of a YouTube-VIS style json."""
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from pycocotools import mask as mask_utils

from ..results.rle import to_rle
from .transforms.loading import is_cut_off
from .ytvis_json import FLAVOUR_FIXES, flavour, natural_order

# A box may be rounded outwards or inwards, and a polygon's area is not quite
# that of its pixels.
_BOX_TOLERANCE = 2.
_AREA_TOLERANCE = 0.05


def find_problems(data: Any, images: Path | None = None) -> Iterator[str]:
    """Yield every problem, each with the record that it is in.

    Args:
        data: The parsed json.
        images: Folder of the frames; None: the files are not looked at.

    Yields:
        Lines such as 'annotation 7, frame 3: the mask is empty'.
    """
    kind = flavour(data)
    if kind != 'ytvis':
        yield f'file: it {FLAVOUR_FIXES[kind]}'
        return
    for key in ('videos', 'categories', 'annotations'):
        if not isinstance(data.get(key) or [], list):
            yield f'file: {key} is not a list'
            return
    yield from _of_categories(data.get('categories') or [])
    videos = data['videos'] or []
    if not videos:
        yield 'file: it lists no video'
    yield from _repeated('video', videos)
    for index, video in enumerate(videos):
        yield from _of_video(video, index, images)
    sizes = {
        v['id']: v
        for v in videos if isinstance(v.get('id'), int) and _has_frames(v)
    }
    video_ids = {v.get('id') for v in videos}
    categories = {c.get('id') for c in data.get('categories') or []}
    annotations = data.get('annotations') or []
    yield from _repeated('annotation', annotations)
    for index, annotation in enumerate(annotations):
        name = _name('annotation', annotation, index)
        if annotation.get('video_id') not in video_ids:
            yield (f'{name}: its video_id {annotation.get("video_id")} is '
                   'that of no video')
        if annotation.get('category_id') not in categories:
            yield (f'{name}: its category_id {annotation.get("category_id")} '
                   'is that of no category')
        if annotation.get('iscrowd', 0) not in (0, 1):
            yield f'{name}: iscrowd is {annotation["iscrowd"]}, not 0 or 1'
        if annotation.get('video_id') in sizes:
            yield from _of_track(annotation, name,
                                 sizes[annotation['video_id']])


def _name(kind: str, record: dict, index: int) -> str:
    return (f'{kind} {record["id"]}' if record.get('id') is not None else
            f'{kind} at position {index}')


def _repeated(kind: str, records: list[dict]) -> Iterator[str]:
    """Ids that are missing, no whole numbers or used twice."""
    for index, record in enumerate(records):
        if not isinstance(record.get('id'), int):
            yield (f'{kind} at position {index}: its id is '
                   f'{record.get("id")!r}, not a whole number')
    for value, count in Counter(str(r.get('id')) for r in records
                                if r.get('id') is not None).items():
        if count > 1:
            yield f'{kind} {value}: {count} records have this id'


def _of_categories(categories: list[dict]) -> Iterator[str]:
    if not categories:
        yield 'file: it lists no category'
    yield from _repeated('category', categories)
    names = Counter(str(c.get('name')) for c in categories)
    for index, category in enumerate(categories):
        if not isinstance(category.get('name'), str):
            yield f'{_name("category", category, index)}: it has no name'
    for name, count in names.items():
        if count > 1 and name != 'None':
            yield f'category {name!r}: {count} records have this name'


def _has_frames(video: dict) -> bool:
    return (isinstance(video.get('file_names'), list)
            and all(_is_size(video.get(k)) for k in ('height', 'width')))


def _is_size(value: object) -> bool:
    return isinstance(value, int) and value > 0


def _of_video(video: dict, index: int,
              images: Path | None) -> Iterator[str]:
    name = _name('video', video, index)
    for key in ('height', 'width'):
        if not _is_size(video.get(key)):
            yield (f'{name}: its {key} is {video.get(key)!r}, not a positive '
                   'whole number')
    files = video.get('file_names')
    if not isinstance(files, list) or not files:
        yield f'{name}: it has no file_names'
        return
    if video.get('length') != len(files):
        yield (f'{name}: length is {video.get("length")}, but file_names has '
               f'{len(files)}')
    good = [f for f in files if isinstance(f, str)]
    for frame, file in enumerate(files):
        if not isinstance(file, str):
            yield f'{name}, frame {frame}: its file name is {file!r}'
    for file, count in Counter(good).items():
        if count > 1:
            yield f'{name}: {file} is listed {count} times'
    if good != natural_order(good):
        yield f'{name}: file_names is not in the order of its numbers'
    if images is not None:
        for file in good:
            problem = _of_image(images / file, video)
            if problem:
                yield f'{name}: {file} {problem}'


def _of_image(path: Path, video: dict) -> str | None:
    if not path.is_file():
        return f'does not exist in {path.parent}'
    if is_cut_off(path.read_bytes()):
        return 'is cut off'
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError:
        return 'is not a readable image'
    if (height, width) != (video.get('height'), video.get('width')):
        return (f'is {width}x{height} pixels, but the video '
                f'{video.get("width")}x{video.get("height")}')
    return None


def _of_track(annotation: dict, name: str, video: dict) -> Iterator[str]:
    length = len(video['file_names'])
    lists = {}
    for key in ('segmentations', 'bboxes', 'areas'):
        values = annotation.get(key)
        if not isinstance(values, list):
            yield f'{name}: it has no {key}'
        elif len(values) != length:
            yield (f'{name}: {key} has {len(values)} entries, but its video '
                   f'has {length} frames')
        else:
            lists[key] = values
    masks = lists.get('segmentations')
    if masks is None:
        return
    if not any(masks):
        yield f'{name}: it is visible in no frame'
    for frame, mask in enumerate(masks):
        where = f'{name}, frame {frame}'
        box = lists['bboxes'][frame] if 'bboxes' in lists else mask
        if not mask and box:
            yield f'{where}: it has a box, but no mask'
        if mask and not box:
            yield f'{where}: it has a mask, but no box'
        rle = None
        if mask:
            try:
                rle = _read_mask(mask, video)
            except ValueError as error:
                yield f'{where}: the mask {error}'
        if 'bboxes' in lists and box:
            yield from (f'{where}: {problem}'
                        for problem in _of_box(box, rle, video))
        if 'areas' in lists:
            problem = _of_area(lists['areas'][frame], mask, rle)
            if problem:
                yield f'{where}: {problem}'


def _read_mask(mask: Any, video: dict) -> dict:
    """Compressed RLE of a mask that is known to decode.

    Raises:
        ValueError: If it does not, or is empty.
    """
    height, width = video['height'], video['width']
    rle = to_rle(mask, height, width)
    if rle is None:
        raise ValueError('has no polygon of three points')
    try:
        pixels = int(mask_utils.decode(rle).sum())
    except ValueError as error:
        raise ValueError(f'cannot be decoded ({error})') from error
    if runs(rle['counts']) != height * width:
        raise ValueError(f'has runs for {runs(rle["counts"])} pixels, but the '
                         f'frame has {height * width}')
    if pixels == 0:
        raise ValueError('is empty')
    return rle


def runs(counts: bytes) -> int:
    """Number of pixels that a compressed RLE describes.

    The decoder does not mind when there are too few. Each run is a number of
    5-bit groups, the lowest first, sign extended; from the fourth run on it
    is the difference to the run two before.
    """
    values: list[int] = []
    position = 0
    while position < len(counts):
        value, shift, more = 0, 0, True
        while more and position < len(counts):
            group = counts[position] - 48
            value |= (group & 0x1f) << shift
            more = bool(group & 0x20)
            position += 1
            shift += 5
            if not more and group & 0x10:
                value |= -1 << shift
        if len(values) > 2:
            value += values[-2]
        values.append(value)
    return sum(values)


def _of_box(box: Any, rle: dict | None, video: dict) -> Iterator[str]:
    if (not isinstance(box, list) or len(box) != 4 or not all(
            isinstance(v, (int, float)) and math.isfinite(v) for v in box)):
        yield f'the box is {box!r}, not four numbers x, y, w, h'
        return
    x, y, w, h = box
    if w < 1 or h < 1:
        yield f'the box {box} is less than one pixel wide or high'
    elif (x < -_BOX_TOLERANCE or y < -_BOX_TOLERANCE
          or x + w > video['width'] + _BOX_TOLERANCE
          or y + h > video['height'] + _BOX_TOLERANCE):
        yield f'the box {box} reaches out of the frame'
    elif rle is not None:
        mx, my, mw, mh = mask_utils.toBbox(rle).tolist()
        gaps = (x - mx, y - my, x + w - mx - mw, y + h - my - mh)
        if max(map(abs, gaps)) > _BOX_TOLERANCE:
            yield (f'the box {box} is not that of its mask, '
                   f'{[mx, my, mw, mh]}')


def _of_area(area: Any, mask: Any, rle: dict | None) -> str | None:
    if mask and not isinstance(area, (int, float)):
        return f'its area is {area!r}, but it has a mask'
    if not mask and area:
        return f'its area is {area}, but it has no mask'
    if rle is not None:
        pixels = int(mask_utils.area(rle))
        if abs(area - pixels) > max(2., _AREA_TOLERANCE * pixels):
            return f'its area is {area}, but its mask has {pixels} pixels'
    return None
