"""Finding every problem of a YouTube-VIS style json."""
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycocotools import mask as mask_utils

from ..images import (
    dark_note,
    image_size,
    is_cut_off,
    largest_of_16_bits,
    natural_order,
)
from ..results.json_rules import (
    find_faults,
    is_id,
    is_number,
    name_record,
    num_frames,
)
from ..results.rle import RLE, MaskError, short, to_rle, to_rles
from .flavours import FLAVOUR_FIXES, flavour

# A box may be rounded outwards or inwards, and a polygon's area is not quite
# that of its pixels.
_BOX_TOLERANCE = 2.
_AREA_TOLERANCE = 0.05


def find_problems(data: Any, images: Path | None = None) -> Iterator[str]:
    """Yield every problem, each with the record that it is in.

    These are the faults for which data set and evaluation refuse a json
    (:mod:`mmvis_memcnp.results.json_rules`), and what they take, but which
    is hardly meant: boxes and areas that are not those of the masks, names
    that are not in order.

    Args:
        data: The parsed json, whatever it holds.
        images: Folder of the frames; None: the files are not looked at.

    Yields:
        Lines such as 'annotation 7, frame 3: the mask is empty'.
    """
    kind = flavour(data)
    if kind != 'ytvis':
        yield f'file: it {FLAVOUR_FIXES[kind]}'
        return
    yield from find_faults(data)
    videos, categories, annotations = (
        data.get(key) for key in ('videos', 'categories', 'annotations'))
    if not videos:
        yield 'file: it lists no video'
    if not categories:
        yield 'file: it lists no category'
    sound = {}
    for index, video in enumerate(_records(videos)):
        name = name_record('video', video, index)
        yield from (f'{name}: {problem}'
                    for problem in _of_video(video, images))
        if is_id(video.get('id')) and not any(
                find_faults(dict(videos=[video]))):
            sound[video['id']] = video
    for index, annotation in enumerate(_records(annotations)):
        video_id = annotation.get('video_id')
        if is_id(video_id) and video_id in sound:
            name = name_record('annotation', annotation, index)
            yield from _of_track(annotation, name, sound[video_id])


def _records(values: Any) -> list[dict]:
    """The objects of a list; others keep their place as objects without
    fields."""
    return [v if isinstance(v, dict) else {}
            for v in (values if isinstance(values, list) else [])]


def _of_video(video: dict, images: Path | None) -> Iterator[str]:
    files = video.get('file_names')
    if not isinstance(files, list) or not files:
        if video and not files:
            yield 'it has no file_names'
        return
    if video.get('length') != len(files):
        yield (f'length is {short(video.get("length"))}, but file_names has '
               f'{len(files)}')
    good = [f for f in files if isinstance(f, str)]
    for file, count in Counter(good).items():
        if count > 1:
            yield f'{file} is listed {count} times'
    if good != natural_order(good):
        yield 'file_names is not in the order of its numbers'
    if images is not None:
        for file in good:
            problem = _of_image(images / file, video)
            if problem:
                yield f'{file} {problem}'
        values = [(value, file) for file in good
                  if (images / file).is_file()
                  and (value := largest_of_16_bits(images / file)) is not None]
        if values:  # one dark frame among others is meant
            value, file = max(values, key=lambda found: found[0])
            note = dark_note(value)
            if note is not None:
                yield f'{file} {note}'


def _of_image(path: Path, video: dict) -> str | None:
    if not path.is_file():
        return f'does not exist in {path.parent}'
    data = path.read_bytes()
    if is_cut_off(data):
        return 'is cut off'
    try:
        height, width = image_size(data)
    except ValueError as error:
        return str(error)
    if (height, width) != (video.get('height'), video.get('width')):
        return (f'is {width}x{height} pixels, but the video '
                f'{video.get("width")}x{video.get("height")}')
    return None


def _of_track(annotation: dict, name: str, video: dict) -> Iterator[str]:
    length = num_frames(video)
    lists = {
        key: annotation[key]
        for key in ('segmentations', 'bboxes', 'areas')
        if isinstance(annotation.get(key), list)
        and len(annotation[key]) == length
    }
    for key in ('bboxes', 'areas'):
        if annotation.get(key) is None:
            yield f'{name}: it has no {key}'
    masks = lists.get('segmentations')
    if masks is None:
        return
    rles, problems = _read_masks(masks, video)
    if not any(rles) and not any(problems):
        yield f'{name}: it is visible in no frame'
    given = [rle is not None or problem is not None
             for rle, problem in zip(rles, problems, strict=True)]
    boxes = lists.get('bboxes', given)
    areas = mask_utils.area([rle for rle in rles if rle]).tolist() if any(
        rles) else []
    pixels = iter(areas)
    for frame, rle in enumerate(rles):
        where, box = f'{name}, frame {frame}', boxes[frame]
        if not given[frame] and box:
            yield f'{where}: it has a box, but no mask'
        if given[frame] and not box:
            yield f'{where}: it has a mask, but no box'
        if problems[frame]:
            yield f'{where}: the mask {problems[frame]}'
        area = next(pixels) if rle else None
        if area == 0:
            yield f'{where}: the mask is empty'
        if 'bboxes' in lists and box:
            yield from (f'{where}: {problem}'
                        for problem in _of_box(box, area and rle, video))
        if 'areas' in lists:
            problem = _of_area(lists['areas'][frame], given[frame], area)
            if problem:
                yield f'{where}: {problem}'


def _read_masks(masks: list, video: dict
                ) -> tuple[list[RLE | None], list[str | None]]:
    """Codes of a track, and what is wrong with those that lack one."""
    size = video['height'], video['width']
    problems: list[str | None] = [None] * len(masks)
    try:
        rles = to_rles(masks, size)
    except MaskError:
        rles = []
        for frame, mask in enumerate(masks):
            try:
                rles.append(to_rle(mask, *size))
            except MaskError as error:
                rles.append(None)
                problems[frame] = str(error)
    return rles, problems


def _of_box(box: object, rle: RLE | None, video: dict) -> Iterator[str]:
    if not (isinstance(box, list) and len(box) == 4
            and all(map(is_number, box))):
        return  # a fault, reported as such
    x, y, w, h = box
    if w < 1 or h < 1:
        yield f'the box {box} is less than one pixel wide or high'
    elif (x < -_BOX_TOLERANCE or y < -_BOX_TOLERANCE
          or x + w > video['width'] + _BOX_TOLERANCE
          or y + h > video['height'] + _BOX_TOLERANCE):
        yield f'the box {box} reaches out of the frame'
    elif rle:
        mx, my, mw, mh = mask_utils.toBbox(rle).tolist()
        gaps = (x - mx, y - my, x + w - mx - mw, y + h - my - mh)
        if max(map(abs, gaps)) > _BOX_TOLERANCE:
            yield (f'the box {box} is not that of its mask, '
                   f'{[mx, my, mw, mh]}')


def _of_area(area: object, has_mask: bool,
             pixels: int | None) -> str | None:
    if area is None:
        return f'its area is {area}, but it has a mask' if has_mask else None
    if not is_number(area):
        return None  # a fault, reported as such
    if not has_mask and area:
        return f'its area is {area}, but it has no mask'
    if pixels and abs(area - pixels) > max(2., _AREA_TOLERANCE * pixels):
        return f'its area is {area}, but its mask has {pixels} pixels'
    return None
