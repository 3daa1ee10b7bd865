"""Compare the processor time of whole pipelines with another checkout's.

Both checkouts run the same configs with random weights on the same noise,
each in a process of its own that takes turns with the other, one thread
each: resizing, network, association, masks, run-length codes, the store. A
turn is four frames, as demo and test take them; a checkout that takes one at
a time takes four in a row.

Example:

    git worktree add /tmp/other bf8f459
    python tools/benchmark/pipeline_speed.py /tmp/other --optimize none exact
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import os
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline_work import TURN
from turns import Checkout, take_turns

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.results.ownership import check_file, new_file

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ('idol/idol_r50_8xb4-12k_youtubevis2021.py',
           'seqformer/seqformer_r50_8xb2-12k_youtubevis2021.py',
           'instanceformer/instanceformer_r50_4xb4-16e_youtubevis2021.py')
WORK = Path(__file__).with_name('pipeline_work.py')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='checkout to compare with')
    parser.add_argument('--configs', nargs='+', default=CONFIGS,
                        help='below configs/, of both (default: %(default)s)')
    parser.add_argument('--optimize', nargs='+', default=['none'],
                        choices=['none', 'exact', 'mixed'],
                        help='levels of this checkout (default: none)')
    parser.add_argument('--turns', type=int, default=3,
                        help='measured turns of four frames, after one to '
                        'warm up (default: %(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=[360, 640],
                        metavar=('H', 'W'), help='of frames and network input'
                        ' before padding (default: 360 640)')
    parser.add_argument('--json', type=Path, help='also write the numbers')
    add_overwrite_option(parser)
    return parser.parse_args()


def compare(config: str, args: argparse.Namespace) -> dict[str, Any]:
    """Medians of all levels of this checkout against the other one."""
    with ExitStack() as stack:
        size = tuple(map(str, args.size))
        runners = dict(other=Checkout(stack, args.other.resolve(), WORK,
                                      config, 'one', *size))
        for level in args.optimize:
            runners[level] = Checkout(stack, ROOT, WORK, config, level,
                                      *size)
        ends: dict[str, dict] = {}
        take_turns(runners, args.turns)
        for name, runner in runners.items():
            ends[name] = runner.ask('end')
    # The end belongs to all frames, those of the warm-up, too.
    share = 1 / (args.turns + 1)
    times = {name: [(s + ends[name]['seconds'] * share) / TURN
                    for s in runner.seconds]
             for name, runner in runners.items()}
    row: dict[str, Any] = dict(config=config)
    for name, found in times.items():
        ratios = [a / b for a, b in zip(found, times['other'], strict=True)]
        row[name] = dict(
            seconds=round(statistics.median(found), 4),
            ratio=round(statistics.median(ratios), 3),
            least=round(min(ratios), 3), most=round(max(ratios), 3),
            instances=round(ends[name]['instances'], 1),
            tracks=ends[name]['tracks'])
        print('{:62} {:6} {seconds:7.3f} s a frame, ratio {ratio:.3f} '
              '({least:.3f} to {most:.3f}), {instances} instances a frame, '
              '{tracks} tracks'.format(config, name, **row[name]), flush=True)
    return row


def main() -> None:
    args = parse_args()
    if args.json:
        check_file(args.json, '--json', args.overwrite)
    rows = [compare(config, args) for config in args.configs]
    print(f'load {os.getloadavg()[0]:.1f}')
    if args.json:
        with new_file(args.json, args.overwrite, '--json') as path:
            path.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    run_tool(main)
