"""CVAT for video 1.1 (docs.cvat.ai/docs/other/xml_format).

CVAT lists a track at every frame at which it is in sight, keyframe or not;
what was drawn at one frame alone, and masks always, is a track of that frame,
ended by an entry that is ``outside``, except near the end of the video.
"""
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .cvat_shapes import Shape, between, read_shape, to_code, whole_number
from .videos import (
    LabelledVideo,
    ObjectTrack,
    Source,
    file_sources,
    frame_names,
    frames_of,
    size_of,
)

_FORMS = ('{}.xml', '{}/annotations.xml')
_READ = ('polygon', 'box', 'mask')


def find(frames: Path, annotations: Path) -> list[Source]:
    """The videos of a data set.

    Args:
        frames: Folder of frames of one video, or of folders (in which
            'images' may hold the frames).
        annotations: The xml of one video, or a folder with NAME.xml or
            NAME/annotations.xml.

    Raises:
        ValueError: If there is no video.
    """
    return file_sources(frames, annotations, _FORMS, 'images', read_video)


class _Tree:
    """An xml file, with the line of every element.

    A document type is refused: only there can entities be declared, which
    may fill the memory or name other files.

    Raises:
        ValueError: If it is no xml or has a document type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[Element, int] = {}
        self._parser = expat.ParserCreate()
        self._builder = TreeBuilder()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._builder.end
        self._parser.CharacterDataHandler = self._builder.data
        self._parser.StartDoctypeDeclHandler = self._refuse
        try:
            with path.open('rb') as file:
                self._parser.ParseFile(file)
        except (expat.ExpatError, LookupError) as error:
            raise ValueError(f'{path} is no readable xml ({error}); it may '
                             'be cut off: export it again.') from error
        self.root: Element = self._builder.close()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = self._builder.start(tag, attributes)
        self._lines[element] = self._parser.CurrentLineNumber

    def _refuse(self, *_: object) -> None:
        raise ValueError(f'{self.path} has a document type (<!DOCTYPE ...>), '
                         'which CVAT does not write; it is not read.')

    def where(self, element: Element) -> str:
        """Place of an element for messages."""
        return f'{self.path}, line {self._lines[element]}'


def read_video(name: str, folder: Path, path: Path) -> LabelledVideo:
    """Read a video; its objects are in the order of their tracks.

    Attributes of objects are not read. Between keyframes, shapes are those
    that CVAT interpolates (:func:`~.cvat_shapes.between`); after the last
    one, a polygon or box stays where it is until the end.

    Raises:
        ValueError: If the file is broken, of another kind or of other
            frames.
    """
    tree = _Tree(path)
    images = frames_of(folder)
    size = size_of(images)
    first, step = _timing(tree, len(images), size)
    video = LabelledVideo(name, size, frame_names(name, folder, images))
    shapes_of: dict[str, dict[int, Shape]] = {}
    seen: Counter[str] = Counter()
    groups = defaultdict(list)
    labels, group_of = {}, {}
    for index, track in enumerate(tree.root.findall('track')):
        key = track.get('id', str(index))
        label = track.get('label')
        if not label:
            raise ValueError(f'{tree.where(track)}: the track has no label.')
        if key in labels:
            raise ValueError(f'{tree.where(track)}: the track {key} is there '
                             'twice.')
        shapes = _shapes(tree, track, size, len(images), first, step, seen)
        if shapes:
            labels[key], shapes_of[key] = label, shapes
            group_of[key] = track.get('group_id', '0')
    codes = {}
    for key, shapes in shapes_of.items():
        whole = dict(_whole(shapes, len(images), seen))
        codes[key] = {t: to_code(shape, size) for t, shape in whole.items()}
        if len(whole) == 1 or {s.kind for s in whole.values()} == {'mask'}:
            groups[group_of[key], labels[key]].append(key)
    for (group, _), keys in groups.items():
        if group != '0' and len(keys) > 1:
            _join(keys, group, codes, video)
    video.tracks = [ObjectTrack(key, labels[key], code)
                    for key, code in codes.items()]
    # What begins at the last frame may well be a track.
    video.said += _notes(name, seen, sum(
        shapes_of[key][t].kind == 'mask' or t < len(images) - 1
        for (group, _), keys in groups.items() if group == '0'
        for key in keys for t in codes[key]))
    return video


def _timing(tree: _Tree, frames: int, size: tuple[int, int]
            ) -> tuple[int, int]:
    """Number of the first frame, and the step from one to the next.

    Raises:
        ValueError: If the file is of another kind, or of other frames.
    """
    root, path = tree.root, tree.path
    if root.tag != 'annotations':
        raise ValueError(f'{path} is no file of CVAT: it begins with '
                         f'<{root.tag}>, not with <annotations>.')
    if root.find('image') is not None:
        raise ValueError(f'{path} has the format "CVAT for images", which '
                         'knows no tracks: export the task as "CVAT for '
                         'video 1.1".')
    if root.find('meta/project') is not None:
        raise ValueError(f'{path} is the export of a project: export its '
                         'tasks one by one.')
    meta = root.find('meta/task')
    meta = root.find('meta/job') if meta is None else meta
    if meta is None:
        return 0, 1
    number = {key: whole_number(text, f'<{key}>', str(path))
              for key in ('size', 'start_frame')
              if (text := (meta.findtext(key) or '').strip())}
    if number.get('size', frames) != frames:
        raise ValueError(f'{path} is of {number["size"]} frames, but there '
                         f'are {frames} images: give the very frames that '
                         'were annotated.')
    original = root.find('meta/task/original_size')
    original = root.find('meta/original_size') if original is None else \
        original
    if original is not None:
        sides = tuple(whole_number((original.findtext(side) or '').strip(),
                                   f'<{side}>', str(path))
                      for side in ('height', 'width'))
        if sides != size:
            raise ValueError(
                f'{path} is of frames of {sides[1]}x{sides[0]} pixels, but '
                f'the images have {size[1]}x{size[0]} (as shown).')
    steps = (meta.findtext('frame_filter') or '').strip()
    step = whole_number(steps.removeprefix('step='), '<frame_filter>',
                        str(path)) if steps else 1
    if step < 1:
        raise ValueError(f'{path}: <frame_filter> is {steps!r}.')
    return number.get('start_frame', 0), step


def _shapes(tree: _Tree, track: Element, size: tuple[int, int], frames: int,
            first: int, step: int, seen: Counter[str]) -> dict[int, Shape]:
    """Shapes of a track by frame, in order.

    Raises:
        ValueError: If one cannot be read, or has no place.
    """
    found: dict[int, Shape] = {}
    for element in track:
        if element.tag not in _READ:
            continue
        where = tree.where(element)
        shape = read_shape(element.tag, element.attrib, size, where)
        number = whole_number(element.get('frame', ''), 'frame', where)
        t, rest = divmod(number - first, step)
        if t >= frames and shape.outside:  # the end of a track
            continue
        if rest or not 0 <= t < frames:
            raise ValueError(
                f'{where}: there is no frame {number}; the first is {first} '
                f'and the last {first + (frames - 1) * step}, in steps of '
                f'{step}.')
        if t in found:
            raise ValueError(f'{where}: the track has two shapes at the '
                             f'frame {number}.')
        if found and shape.kind != next(iter(found.values())).kind:
            raise ValueError(f'{where}: the track is of more than one kind '
                             'of shapes.')
        found[t] = shape
    others = {e.tag for e in track} - {*_READ, 'attribute'}
    seen.update(f'<{tag}>' for tag in others)
    kinds = {shape.kind for shape in found.values()}
    seen['box'] += 'box' in kinds
    return dict(sorted(found.items()))


def _whole(shapes: dict[int, Shape], frames: int, seen: Counter[str]
           ) -> Iterator[tuple[int, Shape]]:
    """Shapes of a track at every frame at which it is in sight."""
    last = list(shapes)[-1]
    if list(shapes) == [frames - 2] and not shapes[last].outside:
        # A track would be there at the last frame, too: this is of one frame,
        # and CVAT notes no end of it so near the end of the video.
        yield last, shapes[last]
        return
    # CVAT leaves an object where it was last seen.
    ends = {**shapes, frames: shapes[last]}
    for (t, shape), (end, later) in pairwise(ends.items()):
        if shape.outside:
            continue
        yield t, shape
        for between_t in range(t + 1, end):
            made = between(shape, later, (between_t - t) / (end - t))
            if made is not None:
                seen['between' if t < last else 'after'] += 1
                yield between_t, made


def _join(keys: list[str], group: str, codes: dict[str, dict],
          video: LabelledVideo) -> None:
    """Make one object of the shapes of a group, each of one frame."""
    frames = [t for key in keys for t in codes[key]]
    if len(set(frames)) < len(frames):
        video.said.append(
            f'Warning: {video.name}: the group {group} has several shapes at '
            'one frame and is not taken as one object.')
        return
    first, *others = keys
    for key in others:
        codes[first].update(codes.pop(key))


def _notes(name: str, seen: Counter[str], lone: int) -> list[str]:
    """What must be said about the shapes of a video."""
    said = []
    if seen['between'] or seen['after']:
        said.append(f'{name}: {seen["between"]} shapes between keyframes are '
                    f'interpolated, {seen["after"]} after the last one stay '
                    'where they were.')
    if seen['box']:
        said.append(f'Warning: {name}: the boxes of {seen["box"]} tracks are '
                    'taken as polygons with four corners.')
    if lone > 1:
        said.append(
            f'Warning: {name}: {lone} shapes of one frame are in no group; '
            'each is an object of its own: group those of an object (CVAT has '
            'no tracks of masks), or make a track of them.')
    said += [f'Warning: {name}: {count} tracks of {tag} are left out; '
             'polygons, masks and boxes are read.'
             for tag, count in sorted(seen.items()) if tag.startswith('<')]
    return said
