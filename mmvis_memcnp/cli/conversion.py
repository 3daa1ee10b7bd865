"""What the converters of annotations share: options, errors, output."""
import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from ..annotations.videos import Source
from ..annotations.writer import Writer
from ..errors import UserError
from ..results.json_rules import parse_json
from ..results.ownership import check_file, new_file
from .output_options import add_overwrite_option


def run_conversion(description: str | None,
                   find: Callable[[Path, Path], Sequence[Source]],
                   kind: str,
                   in_file: bool = False,
                   in_folder: bool = True) -> None:
    """Convert annotations, as the command line says.

    Args:
        description: Help of the tool.
        find: Gives the videos of FRAMES and ANNOTATIONS; raises a
            ``ValueError`` or an ``OSError`` with one sentence.
        kind: What the annotations are, for help and json.
        in_file: Whether ANNOTATIONS may be a file.
        in_folder: Whether ANNOTATIONS may be a folder.

    Raises:
        UserError: If anything is wrong; nothing is written then.
        OutputError: See :func:`~mmvis_memcnp.results.ownership.check_file`.
    """
    args = _parse(description, kind)
    inputs = [p for p in (args.categories, args.annotations) if p is not None]
    check_file(args.out, 'OUT', args.overwrite, inputs)
    categories = {} if args.categories is None else read_categories(
        args.categories)
    if not args.frames.is_dir():
        raise UserError(f'There is no folder {args.frames}.')
    if not (in_file and args.annotations.is_file()
            or in_folder and args.annotations.is_dir()):
        what = [word for word, may in (('file', in_file),
                                       ('folder', in_folder)) if may]
        raise UserError(f'There is no {" or ".join(what)} '
                        f'{args.annotations}.')
    try:
        sources = find(args.frames, args.annotations)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    writer = Writer(categories)
    absent = sorted(set(categories) - {source.name for source in sources})
    if absent:
        print(f'Warning: {args.categories} names the videos '
              f'{", ".join(absent[:20])}, which are not among those '
              'converted.')
    skipped = _convert(sources, writer, args.skip)
    data = writer.json(f'converted from {kind}')
    with new_file(args.out, args.overwrite, 'OUT') as name:
        name.write_text(json.dumps(data), encoding='utf-8')
    left_out = f'; {skipped} skipped' if skipped else ''
    print(f'{args.out}: {len(data["videos"])} videos, '
          f'{len(data["annotations"])} objects, '
          f'{len(data["categories"])} categories{left_out}.')


def _parse(description: str | None, kind: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('frames', type=Path, metavar='FRAMES',
                        help='folder with a folder of frames a video')
    parser.add_argument('annotations', type=Path, metavar='ANNOTATIONS',
                        help=kind)
    parser.add_argument('out', type=Path, metavar='OUT', help='json to write')
    parser.add_argument(
        '--categories', type=Path, metavar='NAMES.json',
        help='json with the category of objects, by video and object, such '
        'as {"video1": {"1": "person", "5": "backpack"}}')
    parser.add_argument(
        '--skip', action='store_true',
        help='leave out a video that is broken, and say why, instead of '
        'writing nothing')
    add_overwrite_option(parser)
    return parser.parse_args()


def read_categories(path: Path) -> dict[str, dict[str, str]]:
    """Read and check ``--categories``.

    Raises:
        UserError: If it is no json of that form.
    """
    try:
        data = parse_json(path)
    except ValueError as error:
        raise UserError(str(error)) from error
    form = 'must be like {"video1": {"1": "person", "5": "backpack"}}'
    if not isinstance(data, dict):
        raise UserError(f'{path} is a {type(data).__name__} but {form}.')
    for video, objects in data.items():
        if not isinstance(objects, dict):
            raise UserError(f'{path}: the entry of the video {video!r} is a '
                            f'{type(objects).__name__}; the file {form}.')
        for key, name in objects.items():
            if not isinstance(name, str) or not name:
                raise UserError(
                    f'{path}: the category of the object {key!r} of the '
                    f'video {video!r} is {name!r}; the file {form}.')
    return data


def _convert(sources: Sequence[Source], writer: Writer, skip: bool) -> int:
    """Read all videos; returns how many were left out."""
    skipped = 0
    for source in tqdm(sources, unit='video'):
        try:
            video = source.read()
        except (OSError, ValueError) as error:
            if not skip:
                hint = (' (--skip leaves out this video)'
                        if len(sources) > 1 else '')
                raise UserError(f'{source.name}: {error}{hint}') from error
            tqdm.write(f'Skipped {source.name}: {error}')
            skipped += 1
            continue
        for line in writer.add(video):
            tqdm.write(line)
    if skipped == len(sources):
        raise UserError('No video is left; nothing was written.')
    return skipped
