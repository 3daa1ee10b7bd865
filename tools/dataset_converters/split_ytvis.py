"""Split a YouTube-VIS style json into train and dev, by video.

Whether a video goes to dev depends on the seed, its id and the number wanted
alone, so that the split can be made again anywhere. The SHA-256 of the dev
ids (decimal, ascending, one a line) is printed; --expect-hash refuses any
other split.

Example:

    python tools/dataset_converters/split_ytvis.py train.json \
        --train train_split.json --dev dev_split.json --num-dev 200 --seed 0
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import sys
from pathlib import Path

from mmvis_memcnp.annotations.flavours import parse_ytvis_json
from mmvis_memcnp.annotations.subsets import choose, hash_ids, select
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.results.ownership import check_file, new_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path)
    parser.add_argument('--train', type=Path, required=True)
    parser.add_argument('--dev', type=Path, required=True)
    parser.add_argument('--num-dev', type=int, required=True)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--expect-hash', help='hash that the dev ids must have')
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> None:
    """Split."""
    args = parse_args()
    if len({p.resolve() for p in (args.json, args.train, args.dev)}) < 3:
        sys.exit('The input, --train and --dev must be three files.')
    for path, option in ((args.train, '--train'), (args.dev, '--dev')):
        check_file(path, option, args.overwrite, [args.json])
    try:
        data = parse_ytvis_json(args.json)
        ids = [video['id'] for video in data['videos']]
        if not 0 < args.num_dev < len(ids):
            raise ValueError(
                f'{args.num_dev} of {len(ids)} videos cannot be split off: '
                + (f'take a number from 1 to {len(ids) - 1}.'
                   if len(ids) > 1 else 'both sides need at least one.'))
        dev = choose(ids, args.num_dev, args.seed)
    except ValueError as error:
        sys.exit(str(error))
    digest = hash_ids(dev)
    if args.expect_hash is not None and digest != args.expect_hash.lower():
        sys.exit(f'The dev split has the hash {digest}, but '
                 f'{args.expect_hash} was expected; nothing was written.')
    with new_file(args.train, args.overwrite, '--train') as train_name, \
            new_file(args.dev, args.overwrite, '--dev') as dev_name:
        for name, chosen in ((train_name, set(ids) - set(dev)),
                             (dev_name, set(dev))):
            name.write_text(json.dumps(select(data, chosen)),
                            encoding='utf-8')
    print(f'{len(ids) - len(dev)} videos in {args.train}, {len(dev)} in '
          f'{args.dev}\nsha256 of the dev ids: {digest}')


if __name__ == '__main__':
    run_tool(main)
