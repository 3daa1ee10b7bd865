"""Compare the processor time of trainings with another checkout's.

Both checkouts train the same config, each in a process of its own that takes
turns with the other, one thread each: reading, network, losses, optimiser and
the loop with its hooks. The samples are the same, and each starts from its
own initial weights. Data are read in the training's process, so that their
time counts. What differs between the configs of the two is levelled by
options, such as the depth of a head that was changed since.

Examples:

    git worktree add /tmp/other bf8f459
    python tools/benchmark/training_speed.py /tmp/other \
        --configs idol/idol_r18_movingshapes.py
    python tools/benchmark/training_speed.py /tmp/other \
        --configs sipmask/sipmask-memcnp_r18_movingshapes.py \
        --other-options model.bbox_head.stacked_convs=3
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

from turns import Checkout, take_turns

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.results.ownership import check_file, new_file

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(__file__).with_name('training_work.py')
CONFIGS = ('sipmask/sipmask-memcnp_r18_movingshapes.py',
           'idol/idol_r18_movingshapes.py')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='checkout to compare with')
    parser.add_argument('--configs', nargs='+', default=CONFIGS,
                        help='below configs/, of both (default: %(default)s)')
    parser.add_argument('--data-root', type=Path,
                        default=ROOT / 'data/moving_shapes/easy',
                        help='of the training data (default: %(default)s)')
    parser.add_argument('--options', nargs='+', default=[],
                        metavar='KEY=VALUE', help='for the configs of both')
    parser.add_argument('--own-options', nargs='+', default=[],
                        metavar='KEY=VALUE', help='for those of this one')
    parser.add_argument('--other-options', nargs='+', default=[],
                        metavar='KEY=VALUE', help='for those of the other')
    parser.add_argument('--turns', type=int, default=10,
                        help='measured turns, after one to warm up (default: '
                        '%(default)s)')
    parser.add_argument('--iterations', type=int, default=4,
                        help='of a turn (default: %(default)s)')
    parser.add_argument('--json', type=Path, help='also write the numbers')
    add_overwrite_option(parser)
    return parser.parse_args()


def compare(config: str, args: argparse.Namespace) -> dict[str, Any]:
    """Medians of this checkout against the other one."""
    shared = (config, str(args.data_root.resolve()), str(args.iterations),
              *args.options)
    with ExitStack() as stack:
        runners = dict(
            other=Checkout(stack, args.other.resolve(), WORK, *shared,
                           *args.other_options),
            own=Checkout(stack, ROOT, WORK, *shared, *args.own_options))
        answers = take_turns(runners, args.turns)
    row: dict[str, Any] = dict(config=config)
    for name, runner in runners.items():
        losses = [round(x, 5) for a in answers[name] for x in a['losses']]
        reading = [a['reading'] for a in answers[name][1:]]
        ratios = [a / b for a, b in zip(runners['other'].seconds,
                                        runner.seconds, strict=True)]
        row[name] = dict(
            milliseconds=round(
                1e3 * statistics.median(runner.seconds) / args.iterations, 1),
            reading=round(
                1e3 * statistics.median(reading) / args.iterations, 1),
            rate=round(args.iterations / statistics.median(runner.seconds),
                       2),
            gain=round(statistics.median(ratios), 3),
            least=round(min(ratios), 3), most=round(max(ratios), 3),
            losses=losses)
        first = ' '.join(f'{x:.4f}' for x in losses[:3])
        print('{:44} {:5} {rate:6.2f} iterations a second ({milliseconds} ms, '
              '{reading} of them reading), {gain:.3f} times the other '
              '({least:.3f} to {most:.3f}); first losses {}'.format(
                  config, name, first, **row[name]), flush=True)
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
