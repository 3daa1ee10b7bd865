"""Over-fit one clip and score the model on the same clip.

A model that cannot learn eighty frames by heart has a bug. Trains
``configs/sipmask/sipmask-memcnp_r18_one-clip.py`` on the given YouTube-VIS
style json alone, tests on it, prints AP and the time taken, and exits 1 below
the wanted scores.

Example:

    python tools/benchmark/overfit_clip.py clip/instances.json clip/JPEGImages
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import sys
from pathlib import Path

from overfitting import ROOT, overfit

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool

CONFIG = ROOT / 'configs/sipmask/sipmask-memcnp_r18_one-clip.py'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path, help='annotations of the clip')
    parser.add_argument('frames', type=Path, help='folder of its frames')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/one_clip'))
    parser.add_argument('--iters', type=int, help='default: of the config')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--min-ap', type=float, default=0.70)
    parser.add_argument('--min-ap50', type=float, default=0.95)
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> int:
    """Train, test, compare."""
    args = parse_args()
    found = overfit(CONFIG, args.json, args.frames, args.work_dir, args.seed,
                    args.iters, overwrite=args.overwrite)
    print(f'{found} (wanted: AP {args.min_ap}, AP50 {args.min_ap50})')
    return int(found.ap < args.min_ap or found.ap50 < args.min_ap50)


if __name__ == '__main__':
    run_tool(lambda: sys.exit(main()))
