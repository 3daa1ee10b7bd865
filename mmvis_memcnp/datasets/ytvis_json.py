"""Reader of YouTube-VIS style jsons as they are released (OVIS too)."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from pycocotools import mask as mask_utils

from ..annotations.flavours import parse_ytvis_json
from ..images import natural_order
from ..results.json_rules import length_note, read_masks
from ..results.rle import RLE
from .classes import name_of_list


def read_ytvis_json(path: str | Path) -> dict:
    """Load a YouTube-VIS style json and check that it is one.

    Args:
        path: The json file.

    Returns:
        The json with ``videos``, ``categories`` and ``annotations`` as lists
        (a missing or null ``annotations`` becomes an empty list, and
        ``has_annotations`` tells whether there were any).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, is of another flavour, or against a
            rule that all readers keep.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'The annotation file {path} does not exist; set data_root and '
            'ann_file of the data set.')
    data = parse_ytvis_json(path)
    annotations = data.get('annotations')
    return dict(
        videos=data['videos'] or [],
        categories=data.get('categories') or [],
        annotations=annotations or [],
        has_annotations=bool(annotations))


def category_names(categories: list[dict], path: str) -> tuple[str, ...]:
    """The classes of a json, in the order of their ids.

    Args:
        categories (list[dict]): ``categories`` of a json without faults.
        path (str): The json, for the message.

    Returns:
        tuple[str]: Names.

    Raises:
        ValueError: If there are none.
    """
    if not categories:
        raise ValueError(
            f'{path} has no categories and the data set no class list; set '
            'metainfo=dict(classes=(...)).')
    return tuple(category['name'] for category in sorted(
        categories, key=lambda category: category['id']))


def match_categories(categories: list[dict],
                     classes: Sequence[str],
                     path: str,
                     aliases: dict[str, str] | None = None) -> dict[int, int]:
    """Map the json's category ids to labels, by name.

    Args:
        categories: ``categories`` of the json.
        classes: Class names of the config; a label is a position in it.
        path: The json, for the message.
        aliases: Other spellings: name in the json -> name in ``classes``.

    Returns:
        category id -> label.

    Raises:
        ValueError: If the json has a category that the config does not know.
    """
    aliases = aliases or {}
    labels = {name: label for label, name in enumerate(classes)}
    mapping: dict[int, int] = {}
    for category in categories:
        name = category['name']
        name = name if name in labels else aliases.get(name, name)
        if name not in labels:
            known = name_of_list([c['name'] for c in categories])
            hint = (f'; its list is that of {known}, use that data set type'
                    if known else '; add it with metainfo=dict(classes=(...'
                    f', {name!r})) or take it out of the json')
            raise ValueError(
                f'The category {name!r} of {path} is not among the '
                f'{len(classes)} classes of the config{hint}.')
        mapping[category['id']] = labels[name]
    missing = [c for i, c in enumerate(classes) if i not in mapping.values()]
    if missing:
        print_log(
            f'{path} does not list the classes {missing} of the config; '
            'they have no category id there.', 'current', 30)
    return mapping


def parse_videos(videos: list[dict], path: str) -> list[dict]:
    """Trim the video records of a json without faults.

    ``file_names`` decides the length and the order of the frames: the lists
    of a track, and a results file, are aligned with it. A differing
    ``length`` and names that are not in the order of their numbers are
    reported as warnings.

    Returns:
        Records ``dict(video_id, length, height, width, file_names)``.

    Raises:
        ValueError: If a video has no ``file_names``.
    """
    records = []
    for video in videos:
        video_id, names = video['id'], video.get('file_names')
        if names is None:
            raise ValueError(f'{path}: video {video_id} has no file_names; '
                             'list its frames by their file names.')
        note = length_note(video)
        if note is not None:
            print_log(f'{path}: {note}; file_names is used.', 'current', 30)
        if names != natural_order(names):
            print_log(
                f'Video {video_id} of {path}: file_names is not in the order '
                'of the numbers in the names; the order given is used.',
                'current', 30)
        records.append(
            dict(
                video_id=video_id,
                length=len(names),
                height=video['height'],
                width=video['width'],
                file_names=list(names)))
    return records


def parse_track(annotation: dict, video: dict,
                path: str) -> list[tuple[RLE, list[float]] | None]:
    """Masks and boxes of one track.

    A frame counts as visible when it has a mask of at least one pixel and,
    if a box, one of at least one pixel in width and height. Where there is
    no box it is that of the mask.

    Args:
        annotation: Track of a json without faults.
        video: Its record from :func:`parse_videos`.
        path: The json, for messages.

    Returns:
        For every frame of the video None or (compressed RLE, box
        ``[x1, y1, x2, y2]`` in pixels).

    Raises:
        ValueError: If a mask cannot be read.
    """
    rles = {
        frame: rle
        for frame, rle in enumerate(read_masks(annotation, video, path))
        if rle is not None
    }
    track: list[tuple[RLE, list[float]] | None] = [None] * video['length']
    if not rles:
        return track
    masks = list(rles.values())
    areas = mask_utils.area(masks)
    given = annotation.get('bboxes')
    boxes: dict[int, Any] = {
        frame: given[frame] if given else None for frame in rles}
    lacking = [frame for frame, box in boxes.items() if not box]
    if lacking:
        boxes.update(zip(lacking, mask_utils.toBbox(
            [rles[frame] for frame in lacking]), strict=True))
    for frame, area in zip(rles, areas, strict=True):
        box = boxes[frame]
        if area == 0 or box[2] < 1 or box[3] < 1:
            continue
        x, y, w, h = np.asarray(box, dtype=np.float64).tolist()
        track[frame] = (rles[frame], [x, y, x + w, y + h])
    return track
