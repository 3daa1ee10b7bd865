"""COCO json of videos (CocoVID), as mmtracking and mmdet write it.

Beside what a COCO json has: ``videos``; images with ``video_id`` and
``frame_id``; annotations with ``instance_id``, which says what is the same
object at several frames of a video.
"""
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..results.json_rules import is_id, parse_json
from ..results.rle import short
from .videos import (
    LabelledVideo,
    ObjectTrack,
    Source,
    checked_code,
    size_of,
)

_LISTS = ('videos', 'images', 'annotations', 'categories')


@dataclass(frozen=True)
class _File:
    """A json whose records have ids and know each other.

    Attributes:
        path: The json.
        frames: Folder in which its images are.
        names: Id of a category to its name.
        annotations: Id of an image to its annotations.
    """
    path: Path
    frames: Path
    names: Mapping[int, str]
    annotations: Mapping[int, Sequence[dict]]


def find(frames: Path, path: Path) -> list[Source]:
    """The videos of a data set.

    Args:
        frames: Folder that the names of its images begin from.
        path: The json.

    Raises:
        ValueError: If it is no such json, or its records do not know each
            other.
    """
    data = parse_json(path)
    if not isinstance(data, dict) or not all(
            isinstance(data.get(key), list) for key in ('videos', 'images')):
        raise ValueError(f'{path} is no COCO json of videos: it has no lists '
                         '"videos" and "images".')
    videos, images, annotations, categories = (
        _by_id(data.get(key) or [], key, path) for key in _LISTS)
    names: dict[int, str] = {}
    for key, category in categories.items():
        name = category.get('name')
        if not isinstance(name, str) or not name:
            raise ValueError(f'{path}: the category {key} has no name.')
        if name in names.values():
            raise ValueError(f'{path}: two categories have the name {name}.')
        names[key] = name
    images_of = _grouped(images, 'images', 'video_id', videos, path)
    file = _File(path, frames, names, _grouped(
        annotations, 'annotations', 'image_id', images, path))
    found: dict[str, Source] = {}
    for key, video in videos.items():
        name = video.get('name')
        name = name if isinstance(name, str) and name else str(key)
        if name in found:
            raise ValueError(f'{path}: two videos have the name {name}.')
        found[name] = Source(name, partial(
            _read_video, name, key, video, images_of[key], file))
    if not found:
        raise ValueError(f'{path} has no video.')
    return list(found.values())


def _by_id(records: object, kind: str, path: Path) -> dict[int, dict]:
    """Records by their id.

    Raises:
        ValueError: If one is none, or two have the same.
    """
    if not isinstance(records, list):
        raise ValueError(f'{path}: {kind} is {short(records)}, not a list.')
    found: dict[int, dict] = {}
    for index, record in enumerate(records):
        if not isinstance(record, dict) or not is_id(record.get('id')):
            raise ValueError(f'{path}, {kind}[{index}]: it is no record with '
                             'a whole number as id.')
        if record['id'] in found:
            raise ValueError(f'{path}: two of {kind} have the id '
                             f'{record["id"]}.')
        found[record['id']] = record
    return found


def _grouped(records: Mapping[int, dict], kind: str, field: str,
             known: Mapping[int, dict], path: Path
             ) -> defaultdict[int, list[dict]]:
    """Records by what they belong to.

    Raises:
        ValueError: If one belongs to nothing.
    """
    found = defaultdict(list)
    for key, record in records.items():
        value = record.get(field)
        if not is_id(value) or value not in known:
            raise ValueError(f'{path}: of {kind}, that with the id {key} has '
                             f'the {field} {short(value)}, which does not '
                             'exist.')
        found[value].append(record)
    return found


def _read_video(name: str, key: int, video: Mapping, images: list[dict],
                file: _File) -> LabelledVideo:
    """Read a video; its objects are in the order of their ids.

    Raises:
        ValueError: If a record is broken, or an image is not there.
    """
    where = f'{file.path}: the video {key}'
    images = _in_order(images, where, file.path)
    files = [image['file_name'] for image in images]
    missing = [f for f in files if not (file.frames / f).is_file()]
    if missing:
        raise ValueError(f'{where} has the image {missing[0]}, which does '
                         f'not exist in {file.frames}.')
    size = size_of([file.frames / f for f in files])
    for record, what in ((video, where), *(
            (image, f'{file.path}: the image {image["id"]}')
            for image in images)):
        sides = record.get('height'), record.get('width')
        if sides != (None, None) and sides != size:
            raise ValueError(
                f'{what} is of {short(sides[1])}x{short(sides[0])} pixels, '
                f'but the file has {size[1]}x{size[0]} (as shown).')
    found: dict[int, ObjectTrack] = {}
    crowds = 0
    for t, image in enumerate(images):
        for annotation in file.annotations.get(image['id'], ()):
            if annotation.get('iscrowd'):
                crowds += 1
            else:
                _add(annotation, t, size, found, file)
    said = ([f'{name}: {crowds} regions with several objects (iscrowd) are '
             'left out.'] if crowds else [])
    return LabelledVideo(name, size, files,
                         [found[key] for key in sorted(found)], said, key,
                         {name: i for i, name in file.names.items()})


def _in_order(images: list[dict], where: str, path: Path) -> list[dict]:
    """Images by their ``frame_id``.

    Raises:
        ValueError: If there are none, or one has no place or no file name.
    """
    if not images:
        raise ValueError(f'{where} has no image.')
    by_frame: dict[int, dict] = {}
    for image in images:
        frame, name = image.get('frame_id'), image.get('file_name')
        what = f'{path}: the image {image["id"]}'
        if not is_id(frame):
            raise ValueError(f'{what} has the frame_id {short(frame)}, which '
                             'is not a whole number.')
        if not isinstance(name, str) or not name:
            raise ValueError(f'{what} has no file_name.')
        if frame in by_frame:
            raise ValueError(f'{what} has the frame_id {frame}, as has the '
                             f'image {by_frame[frame]["id"]}.')
        by_frame[frame] = image
    return [by_frame[frame] for frame in sorted(by_frame)]


def _add(annotation: dict, t: int, size: tuple[int, int],
         found: dict[int, ObjectTrack], file: _File) -> None:
    """Add a mask to its object.

    Raises:
        ValueError: If it cannot be read, or is there twice.
    """
    where = f'{file.path}: the annotation {annotation["id"]}'
    key, category = (annotation.get(field)
                     for field in ('instance_id', 'category_id'))
    if not is_id(key):
        raise ValueError(f'{where} has the instance_id {short(key)}, which '
                         'is not a whole number.')
    if not is_id(category) or category not in file.names:
        raise ValueError(f'{where} has the category_id {short(category)}, '
                         'which does not exist.')
    if not annotation.get('segmentation'):
        raise ValueError(f'{where} has no segmentation: a box alone is no '
                         'mask.')
    label = file.names[category]
    track = found.setdefault(key, ObjectTrack(str(key), label, {}))
    if track.label != label:
        raise ValueError(f'{where} says that the object {key} is a {label}, '
                         f'which was a {track.label} before.')
    if t in track.codes:
        raise ValueError(f'{where} is the second one of the object {key} at '
                         'its image.')
    track.codes[t] = checked_code(annotation['segmentation'], size, where)
