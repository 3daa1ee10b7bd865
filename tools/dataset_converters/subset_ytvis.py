"""Take the videos whose objects are all of classes that COCO has, too.

CTVIS, trained on images of COCO alone, is tested on such videos: 421 of the
training videos of YouTube-VIS 2021 and 140 of OVIS. Which ones is not
published; here a hash of seed and id draws them, the same ones everywhere.
The SHA-256 of the ids (decimal, ascending, one a line) is printed.

Example:

    python tools/dataset_converters/subset_ytvis.py \
        data/ovis/annotations_train.json data/ovis/train_coco-classes.json \
        --class-map ovis --num-videos 140
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import sys
from pathlib import Path

from mmvis_memcnp.annotations.flavours import parse_ytvis_json
from mmvis_memcnp.annotations.subsets import (
    choose,
    hash_ids,
    of_classes,
    select,
)
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.coco_classes import CLASS_MAPS
from mmvis_memcnp.results.ownership import check_file, new_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--class-map', required=True,
        choices=[name for name in CLASS_MAPS if name],
        help='classes that this data set shares with COCO')
    parser.add_argument('--num-videos', type=int,
                        help='draw so many of them; default: all')
    parser.add_argument('--seed', type=int, default=0)
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> None:
    """Select."""
    args = parse_args()
    if args.json.resolve() == args.out.resolve():
        sys.exit('The input and the output must be two files.')
    check_file(args.out, 'OUT', args.overwrite, [args.json])
    try:
        data = parse_ytvis_json(args.json)
        ids = of_classes(data, set(CLASS_MAPS[args.class_map].values()))
        chosen = ids
        if args.num_videos is not None:
            chosen = choose(ids, args.num_videos, args.seed)
        elif not ids:
            raise ValueError(f'{args.json}: no video has objects of these '
                             'classes alone.')
    except ValueError as error:
        sys.exit(str(error))
    with new_file(args.out, args.overwrite, 'OUT') as name:
        name.write_text(json.dumps(select(data, set(chosen))),
                        encoding='utf-8')
    print(f'{len(chosen)} of {len(ids)} videos with objects of '
          f'{args.class_map} and COCO alone ({len(data["videos"])} in all) '
          f'in {args.out}\nsha256 of the ids: {hash_ids(chosen)}')


if __name__ == '__main__':
    run_tool(main)
