"""The rules of a YouTube-VIS style json that every reader of one keeps.

Data sets and evaluation refuse a file for the first fault that
:func:`find_faults` or :func:`read_masks` names; the validator prints them
all. So what the validator passes the others take.
"""
import gc
import json
import math
import mmap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

from .rle import MAX_PIXELS, RLE, MaskError, short, to_rles

# How files begin that hold a json in another form, and what to do with them.
_OTHER_FORMS = (
    (b'\x1f\x8b', 'is packed by gzip; unpack it (gunzip)'),
    (b'PK', 'is a zip archive; unpack it'),
    (b'\xff\xfe', 'is UTF-16 text; save it as UTF-8'),
    (b'\xfe\xff', 'is UTF-16 text; save it as UTF-8'),
    (b'\xef\xbb\xbf', 'begins with a byte order mark; save it as UTF-8 '
     'without one'),
)

#: What to do about a fault, as the end of a sentence.
FIX = ('correct the json (tools/dataset_converters/validate_ytvis.py lists '
       'all that is wrong with it)')


@contextmanager
def collected_later() -> Iterator[None]:
    """Many objects are made, of which none is garbage.

    They would set off the search for garbage again and again.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def parse_json(path: str | Path) -> Any:
    """Content of a json file.

    Raises:
        ValueError: If it cannot be read or is no json.
    """
    try:
        text = _read_text(path)
        with collected_later():
            return json.loads(text)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}.'
                         ) from error
    except RecursionError as error:
        raise ValueError(f'{path} is not a readable json: its lists are '
                         'nested too deeply.') from error
    except ValueError as error:  # no json, no text, a number too long
        with open(path, 'rb') as raw:
            begin = raw.read(4)
        for mark, what in _OTHER_FORMS:
            if begin.startswith(mark):
                raise ValueError(f'{path} is not a readable json: it {what}.'
                                 ) from error
        raise ValueError(
            f'{path} is not a readable json ({error}); it may be cut off or '
            'not be utf-8: fetch or export it again.') from error


def _read_text(path: str | Path) -> str:
    """Content of a text file, without a copy of its bytes where possible."""
    with open(path, 'rb') as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # a pipe, an empty file
            return str(file.read(), 'utf-8')
        with data:
            return str(data, 'utf-8')


def is_id(value: object) -> TypeGuard[int]:
    """Whether a value can be an id: a whole number of 64 bits."""
    return (isinstance(value, int) and type(value) is int
            and abs(value) < 1 << 63)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number (true and false are none)."""
    if isinstance(value, float):
        return type(value) is float and abs(value) < math.inf
    return is_id(value)


def num_frames(video: Mapping) -> int:
    """Frames of a video record: ``file_names`` decides, not ``length``.

    A record without ``file_names``, which evaluation can do without, has
    ``length`` frames.
    """
    names = video.get('file_names')
    return video['length'] if names is None else len(names)


def length_note(video: Mapping) -> str | None:
    """A sentence where ``length`` is not the number of ``file_names``."""
    names, length = video.get('file_names'), video.get('length')
    if names is None or length is None or length == len(names):
        return None
    return (f'video {video["id"]}: length is {short(length)}, but file_names '
            f'has {len(names)}')


def name_record(kind: str, record: object, index: int) -> str:
    """How messages call a record: by its id, else by its position."""
    if isinstance(record, dict) and is_id(record.get('id')):
        return f'{kind} {record["id"]}'
    return f'{kind} at position {index}'


def find_faults(data: Mapping) -> Iterator[str]:
    """Yield every fault of a json that has ``videos``, masks aside.

    Args:
        data (Mapping): The parsed json; ``categories`` and ``annotations``
            may be missing or null.

    Yields:
        str: Lines such as 'annotation 7, frame 3: the box is ...', without a
        full stop.
    """
    keys = ('videos', 'categories', 'annotations')
    odd = [k for k in keys if not isinstance(data.get(k), list | None)]
    for key in odd:
        yield f'file: {key} is {short(data[key])}, not a list'
    if odd:
        return
    videos, categories, annotations = (data.get(key) or [] for key in keys)
    for kind, records in (('video', videos), ('category', categories),
                          ('annotation', annotations)):
        yield from _of_ids(kind, records)
    lengths = {}
    for index, video in enumerate(videos):
        if isinstance(video, dict):
            faults = list(_of_video(video))
            name = name_record('video', video, index)
            yield from (f'{name}{fault}' for fault in faults)
            if is_id(video.get('id')):
                # Tracks of a faulty video are not compared with it.
                lengths[video['id']] = None if faults else num_frames(video)
    yield from _of_names(categories)
    known = {c['id'] for c in categories
             if isinstance(c, dict) and is_id(c.get('id'))}
    for index, annotation in enumerate(annotations):
        if isinstance(annotation, dict):
            name = name_record('annotation', annotation, index)
            for fault in _of_annotation(annotation, lengths, known):
                yield f'{name}{fault}'


def check_faults(data: Mapping, path: str) -> None:
    """Refuse a json with a fault.

    Raises:
        ValueError: One sentence about the first one.
    """
    for fault in find_faults(data):
        raise ValueError(f'{path}: {fault}; {FIX}.')


def check_tracks(annotations: Sequence[Mapping], videos: Mapping[int, Mapping],
                 categories: Collection[int], path: str) -> None:
    """Refuse a fault of tracks, apart from their ids.

    Args:
        annotations (Sequence[Mapping]): Tracks with an id each.
        videos (Mapping): Records without faults, by their id.
        categories (Collection[int]): Ids of the categories.
        path (str): The json, for the message.

    Raises:
        ValueError: One sentence about the first one.
    """
    lengths = {key: num_frames(video) for key, video in videos.items()}
    for annotation in annotations:
        for fault in _of_annotation(annotation, lengths, categories):
            raise ValueError(
                f'{path}: annotation {annotation["id"]}{fault}; {FIX}.')


def read_masks(annotation: Mapping, video: Mapping,
               path: str) -> list[RLE | None]:
    """Codes of a track of a json without faults.

    Args:
        annotation (Mapping): The track.
        video (Mapping): Record with ``height`` and ``width``.
        path (str): The json, for the message.

    Returns:
        list[dict | None]: See :func:`~.rle.to_rles`, one a frame.

    Raises:
        ValueError: If a mask cannot be read.
    """
    try:
        return to_rles(annotation['segmentations'],
                       (video['height'], video['width']))
    except MaskError as error:
        raise ValueError(
            f'{path}: annotation {annotation["id"]}, frame {error.frame}: '
            f'the mask {error}; {FIX}.') from error


def _of_ids(kind: str, records: Sequence) -> Iterator[str]:
    """Records that are none, and ids that are none or used twice."""
    ids: Counter = Counter()
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            yield (f'{kind} at position {index}: it is {short(record)}, not '
                   'an object with fields')
        elif not is_id(record.get('id')):
            yield (f'{kind} at position {index}: its id is '
                   f'{short(record.get("id"))}, not a whole number')
        else:
            ids[record['id']] += 1
    for value, count in ids.items():
        if count > 1:
            yield f'{kind} {value}: {count} records have this id'


def _of_names(categories: Sequence) -> Iterator[str]:
    names: Counter = Counter()
    for index, category in enumerate(categories):
        if isinstance(category, dict):
            name = category.get('name')
            if isinstance(name, str) and name:
                names[name] += 1
            else:
                yield (f'{name_record("category", category, index)}: it has '
                       'no name')
    for name, count in names.items():
        if count > 1:
            yield f'category {short(name)}: {count} records have this name'


def _of_video(video: Mapping) -> Iterator[str]:
    pixels = 1
    for key in ('height', 'width'):
        side = video.get(key)
        if type(side) is not int or side <= 0:
            yield f': its {key} is {short(side)}, not a positive whole number'
        else:
            pixels *= side
    if pixels >= MAX_PIXELS:
        yield f': its height and width make {MAX_PIXELS} pixels or more'
    names, length = video.get('file_names'), video.get('length')
    if names is None:
        if type(length) is not int or not 0 <= length < 1 << 31:
            yield ': it has no file_names'
    elif not isinstance(names, list):
        yield f': file_names is {short(names)}, not a list'
    elif not set(map(type, names)) <= {str}:
        for frame, name in enumerate(names):
            if type(name) is not str:
                yield f', frame {frame}: its file name is {short(name)}'
    elif '' in names or '\0' in ''.join(names):
        frame = next(i for i, n in enumerate(names) if not n or '\0' in n)
        yield (f', frame {frame}: its file name is {short(names[frame])}, '
               'which no file has')


def _of_annotation(annotation: Mapping, lengths: Mapping[int, int | None],
                   categories: Collection[int]) -> Iterator[str]:
    video, category = (annotation.get(k) for k in ('video_id', 'category_id'))
    for key, value, known in (('video_id', video, lengths),
                              ('category_id', category, categories)):
        if not is_id(value):
            yield f': its {key} is {short(value)}, not a whole number'
        elif value not in known:
            yield f': its {key} {value} is that of no {key.split("_")[0]}'
    if annotation.get('iscrowd', 0) not in (0, 1):
        yield f': iscrowd is {short(annotation["iscrowd"])}, not 0 or 1'
    frames = lengths.get(video) if is_id(video) else None
    for key in ('segmentations', 'bboxes', 'areas'):
        values = annotation.get(key)
        if values is None:
            if key == 'segmentations':
                yield f': it has no {key}'
        elif not isinstance(values, list):
            yield f': {key} is {short(values)}, not a list'
        elif frames is not None and len(values) != frames:
            yield (f': {key} has {len(values)} entries, but its video has '
                   f'{frames} frames')
        elif key == 'bboxes':
            for frame, box in enumerate(values):
                if box and not (isinstance(box, list) and len(box) == 4
                                and all(map(is_number, box))):
                    yield (f', frame {frame}: the box is {short(box)}, not '
                           'four numbers x, y, w, h')
        elif key == 'areas' and not _are_sizes(values):
            for frame, area in enumerate(values):
                if area is not None and not (is_number(area) and area >= 0):
                    yield (f', frame {frame}: its area is {short(area)}, not '
                           'a number of pixels')


def _are_sizes(values: list) -> bool:
    """Whether all values are ordinary numbers of pixels, found quickly."""
    numbers = [value for value in values if value is not None]
    return not numbers or (
        set(map(type, numbers)) == {int} and 0 <= min(numbers)
        and max(numbers) < 1 << 63)
