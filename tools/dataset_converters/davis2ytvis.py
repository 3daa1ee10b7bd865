"""Turn frames and palette masks in the form of DAVIS into a VIS json.

FRAMES and MASKS hold a folder a sequence (or are one sequence each) with
files of the same stem: 00000.jpg and 00000.png. The value of a mask's pixel
is the object, 0 the background, 255 unlabelled.

DAVIS has no categories. Every object is an 'object', unless --categories
names a json such as {"schoolgirls": {"1": "person", "5": "backpack"}}.

Example:

    python tools/dataset_converters/davis2ytvis.py DAVIS/JPEGImages/480p \
        DAVIS/Annotations/480p davis.json
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as mask_utils
from tqdm import tqdm

VOID = 255
FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')


def sequences(frames: Path, masks: Path) -> list[tuple[str, Path, Path]]:
    """Name, folder of frames and folder of masks of every sequence.

    Raises:
        ValueError: If a sequence has no masks, or there is no sequence.
    """
    folders = sorted(p for p in frames.iterdir() if p.is_dir())
    if not folders:
        return [(frames.name, frames, masks)]
    missing = [p.name for p in folders if not (masks / p.name).is_dir()]
    if missing:
        raise ValueError(f'The sequence {missing[0]} of {frames} has no folder '
                         f'in {masks}.')
    return [(p.name, p, masks / p.name) for p in folders]


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Object of every pixel, uint8 (H, W).

    Raises:
        ValueError: If it is no palette or grey picture of this size.
    """
    with Image.open(path) as image:
        if image.mode not in ('P', 'L'):
            raise ValueError(f'{path} is a {image.mode} picture; a mask is a '
                             'palette or grey PNG.')
        if image.size != size:
            raise ValueError(f'{path} has {image.size[0]}x{image.size[1]} '
                             f'pixels, but its frames {size[0]}x{size[1]}.')
        return np.array(image)


def convert_sequence(name: str, frames: Path, masks: Path) -> tuple:
    """Read a sequence.

    Returns:
        Video record without id, and object value -> (segmentations, boxes,
        areas) a frame.

    Raises:
        ValueError: If it has no frame with a mask, or a mask without frame.
    """
    images = {
        p.stem: p
        for p in sorted(frames.iterdir())
        if p.suffix.lower() in FRAME_SUFFIXES
    }
    labelled = sorted(p.stem for p in masks.glob('*.png'))
    lone = [stem for stem in labelled if stem not in images]
    if lone:
        raise ValueError(f'{masks / lone[0]}.png has no frame in {frames}.')
    if not labelled:
        raise ValueError(f'{masks} has no PNG; there is nothing to convert.')
    if len(labelled) < len(images):
        print(f'{name}: {len(images) - len(labelled)} frames have no mask and '
              'are left out.')
    with Image.open(images[labelled[0]]) as image:
        width, height = image.size
    tracks: dict[int, tuple[list, list, list]] = {}
    for t, stem in enumerate(labelled):
        pixels = read_mask(masks / f'{stem}.png', (width, height))
        for value in np.unique(pixels):
            if value in (0, VOID):
                continue
            segmentations, boxes, areas = tracks.setdefault(
                int(value), tuple([None] * len(labelled) for _ in range(3)))
            rle = mask_utils.encode(
                np.asfortranarray(pixels == value, dtype=np.uint8))
            boxes[t] = mask_utils.toBbox(rle).tolist()
            areas[t] = int(mask_utils.area(rle))
            segmentations[t] = dict(
                size=[height, width], counts=rle['counts'].decode())
    video = dict(
        width=width,
        height=height,
        length=len(labelled),
        file_names=[f'{name}/{images[stem].name}' for stem in labelled])
    return video, tracks


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
        video, tracks = convert_sequence(name, frame_folder, mask_folder)
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
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    for folder in (args.frames, args.masks):
        if not folder.is_dir():
            sys.exit(f'There is no folder {folder}.')
    try:
        categories = ({} if args.categories is None else json.loads(
            args.categories.read_text(encoding='utf-8')))
        data = convert(args.frames, args.masks, categories)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    args.out.write_text(json.dumps(data), encoding='utf-8')
    print(f'{args.out}: {len(data["videos"])} videos, '
          f'{len(data["annotations"])} objects, '
          f'{len(data["categories"])} categories.')


if __name__ == '__main__':
    main()
