"""Over-fit two generated clips with a small config, and score it on them.

Generates two easy clips of MovingShapes, trains the config on them alone,
tests on them, prints AP, AP50 and the time taken, and exits 1 below AP50 0.9.
For the ``*_r18_movingshapes.py`` of any system.

Example:

    python tools/benchmark/overfit_shapes.py \
        configs/idol/idol_r18_movingshapes.py
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import sys
from pathlib import Path

from overfitting import overfit

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.moving_shapes.generate import generate

CLIPS, FRAMES, SIZE = 2, 16, (128, 192)
MIN_AP50 = 0.9


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('--iters', type=int, default=1500)
    parser.add_argument(
        '--batch-size', type=int, help='default: of the config')
    parser.add_argument(
        '--seed', type=int, default=0, help='of clips and training')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='default: work_dirs/overfit_shapes/ and the name of the config; '
        'the clips go there too')
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> int:
    """Generate, train, test, compare."""
    args = parse_args()
    work_dir = args.work_dir or Path(
        'work_dirs/overfit_shapes') / args.config.stem
    annotations = Path(
        generate(work_dir / 'clips', CLIPS, FRAMES, SIZE, args.seed, 'easy',
                 args.overwrite))
    try:
        found = overfit(args.config, annotations,
                        annotations.with_name('JPEGImages'), work_dir,
                        args.seed, args.iters, args.batch_size,
                        args.overwrite)
    except ValueError as error:
        sys.exit(str(error))
    print(f'{args.config.stem}: {found} (wanted: AP50 {MIN_AP50})')
    return int(found.ap50 < MIN_AP50)


if __name__ == '__main__':
    run_tool(lambda: sys.exit(main()))
