"""Print every problem of a YouTube-VIS style json; exit 1 if there is one.

Example:

    python tools/dataset_converters/validate_ytvis.py \
        data/mine/train.json --images data/mine/JPEGImages
"""
import argparse
import json
import sys
from pathlib import Path

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.validation import find_problems


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path)
    parser.add_argument(
        '--images',
        type=Path,
        help='folder of the frames: also look whether each exists, is whole '
        'and has the size of its video')
    return parser.parse_args()


def main() -> None:
    """Validate."""
    args = parse_args()
    if args.images is not None and not args.images.is_dir():
        sys.exit(f'There is no folder {args.images}.')
    try:
        data = json.loads(args.json.read_text(encoding='utf-8'))
    except OSError as error:
        sys.exit(f'{args.json} cannot be read: {error.strerror}.')
    except ValueError as error:
        sys.exit(f'{args.json} is not a readable json: {error}.')
    count = 0
    for problem in find_problems(data, args.images):
        print(problem)
        count += 1
    if count:
        sys.exit(f'{args.json}: {count} problem{"s" if count > 1 else ""}.')
    print(f'{args.json}: no problem; {len(data["videos"])} videos, '
          f'{len(data.get("annotations") or [])} tracks, '
          f'{len(data["categories"])} categories.')


if __name__ == '__main__':
    run_tool(main)
