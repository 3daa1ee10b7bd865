"""Turn frames and palette masks in the form of DAVIS into a VIS json.

FRAMES and MASKS hold a folder a sequence (or are one sequence each) with
files of the same stem: 00000.jpg and 00000.png. The value of a mask's pixel
is the object, 0 the background, 255 unlabelled. Where the masks of a sequence
have a single value besides 0, such as 0 and 255, that value is one object.

Frames are taken in the order of the numbers in their names and as they are
shown, turned as their EXIF orientation says; masks must have that size. What
is hidden (.ipynb_checkpoints) is passed over.

DAVIS has no categories. Every object is an 'object', unless --categories
names a json such as {"schoolgirls": {"1": "person", "5": "backpack"}}.

Example:

    python tools/dataset_converters/davis2ytvis.py DAVIS/JPEGImages/480p \
        DAVIS/Annotations/480p davis.json
"""
import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils
from tqdm import tqdm

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.images import (
    image_size,
    list_folders,
    list_images,
    open_upright,
)
from mmvis_memcnp.results.json_rules import parse_json
from mmvis_memcnp.results.ownership import check_file, new_file

VOID = 255
# More objects than this in a video are rather a mistake.
MANY_OBJECTS = 50
# So many values that only form lines are rather the edges of smoothed masks.
MANY_THIN = 3


def sequences(frames: Path, masks: Path) -> list[tuple[str, Path, Path]]:
    """Name, folder of frames and folder of masks of every sequence.

    Raises:
        ValueError: If a sequence has no masks, or there is no sequence.
    """
    folders = list_folders(frames)
    if not folders:
        return [(frames.resolve().name, frames, masks)]
    missing = [p.name for p in folders if not (masks / p.name).is_dir()]
    if missing:
        raise ValueError(f'The sequence {missing[0]} of {frames} has no '
                         f'folder in {masks}.')
    return [(p.name, p, masks / p.name) for p in folders]


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


def size_of(frames: list[Path]) -> tuple[int, int]:
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


def convert_sequence(name: str, frames: Path, masks: Path) -> tuple:
    """Read a sequence.

    Returns:
        Video record without id, object value -> (segmentations, boxes,
        areas) a frame, and what must be said about it, a line each.

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
    height, width = size_of(used)
    found: dict[int, dict[int, dict]] = {}
    thick: set[int] = set()
    for t, path in enumerate(used):
        pixels = read_mask(labelled[path.stem], (height, width))
        values = np.unique(pixels)
        thick.update(thick_values(pixels).tolist())
        for value in values[values > 0].tolist():
            found.setdefault(value, {})[t] = mask_utils.encode(
                np.asfortranarray(pixels == value, dtype=np.uint8))
    objects, said = objects_of(set(found), thick, name)
    tracks = {value: _track(found[value], len(used)) for value in objects}
    if len(used) < len(images):
        said.append(f'{name}: {len(images) - len(used)} frames have no mask '
                    'and are left out.')
    said.append(f'{name}: {len(used)} frames, {len(objects)} objects.'
                if objects else f'Warning: {name}: no object in its '
                f'{len(used)} masks.')
    video = dict(
        width=width,
        height=height,
        length=len(used),
        file_names=[f'{name}/{path.name}' for path in used])
    return video, tracks, said


def _track(codes: dict[int, dict], length: int) -> tuple[list, list, list]:
    """Segmentations, boxes and areas a frame, of codes by frame."""
    segmentations, boxes, areas = ([None] * length for _ in range(3))
    for t, rle in codes.items():
        segmentations[t] = dict(
            size=[int(side) for side in rle['size']],
            counts=rle['counts'].decode())
        boxes[t] = mask_utils.toBbox(rle).tolist()
        areas[t] = int(mask_utils.area(rle))
    return segmentations, boxes, areas


def convert(frames: Path, masks: Path,
            categories: dict[str, dict[str, str]]) -> dict:
    """Convert a data set.

    Args:
        frames: Folder of frames.
        masks: Folder of masks.
        categories: Sequence -> object value -> category name; what is not
            in it is an 'object'.

    Returns:
        The json. Objects are numbered by sequence, then by value.
    """
    names = list(
        dict.fromkeys(name for objects in categories.values()
                      for name in objects.values()))
    videos: list[dict] = []
    annotations: list[dict] = []
    for name, frame_folder, mask_folder in tqdm(
            sequences(frames, masks), unit='sequence'):
        video, tracks, said = convert_sequence(
            name, frame_folder, mask_folder)
        for line in said:
            tqdm.write(line)
        videos.append(dict(id=len(videos) + 1, **video))
        for value, (segmentations, boxes, areas) in sorted(tracks.items()):
            category = categories.get(name, {}).get(str(value), 'object')
            if category not in names:
                names.append(category)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    video_id=len(videos),
                    category_id=names.index(category) + 1,
                    iscrowd=0,
                    width=video['width'],
                    height=video['height'],
                    length=video['length'],
                    segmentations=segmentations,
                    bboxes=boxes,
                    areas=areas))
    return dict(
        info=dict(description='converted from a DAVIS-style folder'),
        licenses=[],
        videos=videos,
        categories=[
            dict(id=i + 1, name=name, supercategory='object')
            for i, name in enumerate(names)
        ],
        annotations=annotations)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('frames', type=Path)
    parser.add_argument('masks', type=Path)
    parser.add_argument('out', type=Path, help='json to write')
    parser.add_argument('--categories', type=Path)
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    for folder in (args.frames, args.masks):
        if not folder.is_dir():
            sys.exit(f'There is no folder {folder}.')
    check_file(args.out, 'OUT', args.overwrite,
               [args.categories] if args.categories else [])
    try:
        categories = ({} if args.categories is None else
                      parse_json(args.categories))
        data = convert(args.frames, args.masks, categories)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    with new_file(args.out, args.overwrite, 'OUT') as name:
        name.write_text(json.dumps(data), encoding='utf-8')
    print(f'{args.out}: {len(data["videos"])} videos, '
          f'{len(data["annotations"])} objects, '
          f'{len(data["categories"])} categories.')


if __name__ == '__main__':
    run_tool(main)
