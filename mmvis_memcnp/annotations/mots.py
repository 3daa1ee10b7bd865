"""MOTS txt: KITTI MOTS and MOTSChallenge (vision.rwth-aachen.de/page/mots).

A line is an object at a frame, of six fields: number of the frame, id, class,
height, width and a compressed run-length code of COCO. An id is 1000 times
the class, plus the number of the object within its class; 10000, of the class
10, is a region to be ignored.
"""
import re
from pathlib import Path

from .videos import (
    LabelledVideo,
    ObjectTrack,
    Source,
    checked_code,
    file_sources,
    frame_names,
    frames_of,
    size_of,
)

_FORMS = ('{}.txt', '{}/gt/gt.txt', '{}/gt.txt')
_CLASSES = {1: 'car', 2: 'pedestrian'}
#: The class of regions that readers leave out.
IGNORED = 10
_FIELDS = ('frame', 'id', 'class', 'height', 'width')


def find(frames: Path, annotations: Path) -> list[Source]:
    """The videos of a data set.

    Args:
        frames: Folder of frames of one video, or of folders (in which 'img1'
            may hold the frames).
        annotations: The txt of one video, or a folder with NAME.txt or
            NAME/gt/gt.txt.

    Raises:
        ValueError: If there is no video.
    """
    return file_sources(frames, annotations, _FORMS, 'img1', read_video)


def read_video(name: str, folder: Path, path: Path) -> LabelledVideo:
    """Read a video; its objects are in the order of their ids.

    The number of a frame is the last one in the name of its image, which
    begins at 0 in KITTI MOTS and at 1 in MOTSChallenge. Images without a
    line have no object.

    Raises:
        ValueError: If a line is broken or has no image.
    """
    images = frames_of(folder)
    size = size_of(images)
    place = _numbers(images)
    found: dict[int, ObjectTrack] = {}
    ignored = 0
    for count, line in enumerate(_lines(path), 1):
        fields = line.split()
        if not fields:
            continue
        where = f'{path}, line {count}'
        if len(fields) != 6:
            raise ValueError(
                f'{where}: it has {len(fields)} fields, not six: frame, id, '
                'class, height, width and run-length code.')
        frame, key, kind, height, width = (
            _number(text, field, where)
            for text, field in zip(fields[:5], _FIELDS, strict=True))
        if frame not in place:
            raise ValueError(f'{where}: there is no image of the frame '
                             f'{frame} in {folder}.')
        if (height, width) != size:
            raise ValueError(
                f'{where}: it is of a frame of {width}x{height} pixels, but '
                f'the images have {size[1]}x{size[0]} (as shown).')
        code = checked_code(dict(size=[height, width], counts=fields[5]),
                            size, where)
        if IGNORED in (kind, key // 1000):
            ignored += 1
            continue
        if key // 1000 != kind:
            raise ValueError(
                f'{where}: the id {key} is not of the class {kind}; it is '
                f'1000 times the class, plus a number below 1000.')
        track = found.setdefault(key, ObjectTrack(
            str(key), _CLASSES.get(kind, f'class_{kind}'), {}))
        if place[frame] in track.codes:
            raise ValueError(f'{where}: the object {key} is there for the '
                             f'second time at the frame {frame}.')
        track.codes[place[frame]] = code
    said = ([f'{name}: {ignored} regions to be ignored (class {IGNORED}) are '
             'left out.'] if ignored else [])
    return LabelledVideo(name, size, frame_names(name, folder, images),
                         [found[key] for key in sorted(found)], said)


def _numbers(images: list[Path]) -> dict[int, int]:
    """Position of every image, by the number in its name.

    Raises:
        ValueError: If one has none, or two have the same.
    """
    found: dict[int, int] = {}
    for position, path in enumerate(images):
        digits = re.findall(r'[0-9]+', path.stem)
        if not digits or len(digits[-1]) > 18:
            raise ValueError(f'{path} has no number of a frame in its name.')
        number = int(digits[-1])
        if number in found:
            raise ValueError(f'{images[found[number]]} and {path} are the '
                             'same frame: take one of them away.')
        found[number] = position
    return found


def _lines(path: Path) -> list[str]:
    try:
        # Not splitlines(), which splits at more than the ends of lines.
        return path.read_text(encoding='ascii').split('\n')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text in ASCII (byte {error.start}).'
                         ) from error


def _number(text: str, field: str, where: str) -> int:
    if not re.fullmatch(r'[0-9]{1,18}', text):
        raise ValueError(f'{where}: its {field} is {text[:40]!r}, not a '
                         'whole number.')
    return int(text)
