"""What every format is read into, and how its files are found."""
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from ..images import image_size, list_folders, list_images
from ..results.rle import RLE, MaskError, to_rle


@dataclass
class ObjectTrack:
    """One object of a video.

    Attributes:
        key: Its name within the video, as ``--categories`` gives it.
        label: Its category, unless ``--categories`` names another.
        codes: Frame, from 0, to its mask there.
    """
    key: str
    label: str
    codes: dict[int, RLE]


@dataclass
class LabelledVideo:
    """A video with its objects.

    Attributes:
        name: Its name.
        size: Height and width in pixels.
        file_names: Its frames in order, below the folder of all videos.
        tracks: Its objects.
        said: What the user must hear about it, a line each.
        id: Its id, where the source has one: servers know the video by it.
        categories: Name of a category to its id, where the source has a list
            of them, which also names those without an object.
    """
    name: str
    size: tuple[int, int]
    file_names: list[str]
    tracks: list[ObjectTrack] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    id: int | None = None
    categories: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A video that can be read.

    Attributes:
        name: Its name.
        read: Reads it; raises a ``ValueError`` or an ``OSError``, whose
            message is one sentence, if it is broken.
    """
    name: str
    read: Callable[[], LabelledVideo]


Read = Callable[[str, Path, Path], LabelledVideo]


def folder_sources(frames: Path, annotations: Path,
                   read: Read) -> list[Source]:
    """Videos whose annotations are a folder each.

    Args:
        frames: Holds a folder a video, or the frames of one.
        annotations: Is laid out alike; it may be the same folder.
        read: Reads a video of a name, the folder of its frames and that of
            its annotations.

    Returns:
        Those that have only one of the two are broken.
    """
    folders = list_folders(frames)
    if not folders:
        name = frames.resolve().name
        own = annotations.resolve().parent / name
        if own != annotations.resolve() and own != frames.resolve() and \
                own.is_dir():
            return [_broken(name, f'{annotations} was given for the frames of '
                            f'{frames}, but {own} has their name: give that.')]
        return [_source(read, name, frames, annotations)]
    found = [
        _source(read, p.name, p, annotations / p.name)
        if (annotations / p.name).is_dir() else
        _broken(p.name, f'The sequence {p.name} of {frames} has no folder in '
                f'{annotations}.') for p in folders]
    names = {p.name for p in folders}
    return found + [
        _broken(p.name, f'{p} has no folder with frames in {frames}.')
        for p in list_folders(annotations) if p.name not in names]


def file_sources(frames: Path, annotations: Path, forms: Sequence[str],
                 inner: str, read: Read) -> list[Source]:
    """Videos whose annotations are a file each.

    Args:
        frames: Holds a folder a video, or, where ``annotations`` is a file,
            the frames of one.
        annotations: A file, or a folder with one for each video.
        forms: Where the file of a video is within the folder, such as
            '{}.txt'; the first that exists is taken.
        inner: Folder in that of a video that holds its frames, where there
            is such a folder.
        read: Reads a video of a name, the folder of its frames and the file.

    Returns:
        Those that have only one of the two are broken.

    Raises:
        ValueError: If there is no video.
    """
    if annotations.is_file():
        return [_source(read, frames.resolve().name, _inner(frames, inner),
                        annotations)]
    found = []
    for folder in list_folders(frames):
        files = [annotations / form.format(folder.name) for form in forms]
        file = next((f for f in files if f.is_file()), None)
        found.append(
            _source(read, folder.name, _inner(folder, inner), file)
            if file else _broken(
                folder.name, f'The video {folder.name} of {frames} has no '
                f'annotations: there is no {" and no ".join(map(str, files))}'
                '.'))
    if not found:
        raise ValueError(
            f'{frames} has no folder with frames; of a single video, give '
            'its file of annotations, not the folder that holds it.')
    names = {source.name for source in found}
    lone = (path for form in forms
            for path in sorted(annotations.glob(form.format('*'))))
    for path in lone:
        name = path.relative_to(annotations).parts[0].removesuffix(
            path.suffix)
        if name not in names and not name.startswith('.'):
            names.add(name)
            found.append(_broken(name, f'{path} has no folder with frames in '
                                 f'{frames}.'))
    return found


def _source(read: Read, name: str, folder: Path, annotations: Path) -> Source:
    return Source(name, partial(read, name, folder, annotations))


def _broken(name: str, sentence: str) -> Source:
    def refuse() -> LabelledVideo:
        raise ValueError(sentence)

    return Source(name, refuse)


def _inner(folder: Path, inner: str) -> Path:
    return folder / inner if (folder / inner).is_dir() else folder


def frame_names(name: str, folder: Path, images: Iterable[Path]) -> list[str]:
    """File names of frames as the json lists them.

    Args:
        name: Name of the video, which is that of its folder.
        folder: What holds the frames: that folder or one in it.
        images: The frames.
    """
    inner = '' if folder.resolve().name == name else f'{folder.name}/'
    return [f'{name}/{inner}{path.name}' for path in images]


def frames_of(folder: Path) -> list[Path]:
    """Frames of a video in order.

    Raises:
        ValueError: If there are none.
    """
    images = list_images(folder)
    if not images:
        raise ValueError(f'{folder} has no frames.')
    return images


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name without suffix, in the order given.

    Raises:
        ValueError: If two have the same.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise ValueError(f'{found[path.stem]} and {path} are the same '
                             'frame: take one of them away.')
        found[path.stem] = path
    return found


def size_of(frames: Sequence[Path]) -> tuple[int, int]:
    """Height and width of frames, which is the same for all.

    Raises:
        ValueError: If one is no image or has another size than the first.
    """
    first = None
    for path in frames:
        try:
            size = image_size(path.read_bytes())
        except ValueError as error:
            raise ValueError(f'{path} {error}.') from error
        first = first or size
        if size != first:
            raise ValueError(f'{path} has {size[1]}x{size[0]} pixels, but '
                             f'{frames[0]} {first[1]}x{first[0]} (as shown, '
                             'width x height).')
    assert first is not None
    return first


def polygon_code(points: np.ndarray, size: tuple[int, int],
                 where: str) -> RLE:
    """Mask of a polygon.

    Args:
        points: (N, 2), x and y in pixels, N at least 3.
        size: Height and width of the frame.
        where: Place in the annotations, which begins the message.

    Raises:
        ValueError: If a coordinate is not finite or far out of the frame.
    """
    return checked_code([points.reshape(-1).tolist()], size, where)


def checked_code(segmentation: object, size: tuple[int, int],
                 where: str) -> RLE:
    """Mask of a segmentation in whichever form of COCO.

    Raises:
        ValueError: If it cannot be read; the message begins with ``where``.
    """
    try:
        code = to_rle(segmentation, *size)
    except MaskError as error:
        raise ValueError(f'{where}: the mask {error}.') from error
    if code is None:
        raise ValueError(f'{where}: the mask has no polygon.')
    return code


def pixels_code(pixels: np.ndarray, left: int, top: int,
                size: tuple[int, int]) -> RLE:
    """Mask of pixels at a place of a frame; what is outside is cut off.

    Args:
        pixels: (h, w), bool.
        left: Column of the frame of its first column.
        top: Row of the frame of its first row.
        size: Height and width of the frame.
    """
    height, width = size
    whole = np.zeros(size, np.uint8, order='F')
    inside = pixels[max(-top, 0):max(height - top, 0),
                    max(-left, 0):max(width - left, 0)]
    y, x = max(top, 0), max(left, 0)
    whole[y:y + inside.shape[0], x:x + inside.shape[1]] = inside
    return mask_utils.encode(whole)
