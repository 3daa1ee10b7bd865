"""Print every problem of a YouTube-VIS style json; exit 1 if there is one.

Example:

    python tools/dataset_converters/validate_ytvis.py \
        data/mine/train.json --images data/mine/JPEGImages
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import sys
from pathlib import Path

from mmvis_memcnp.annotations.validation import find_problems
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.results.json_rules import parse_json


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
        data = parse_json(args.json)
    except ValueError as error:
        sys.exit(str(error))
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
