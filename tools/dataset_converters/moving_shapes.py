"""Generate a MovingShapes data set (a VIS data set of textured shapes).

Example: training and validation data, different seeds.

    python tools/dataset_converters/moving_shapes.py \
        data/moving_shapes/easy/train --videos 600 --frames 16 --seed 0 \
        --level easy
    python tools/dataset_converters/moving_shapes.py \
        data/moving_shapes/easy/val --videos 50 --seed 1000 --level easy
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from mmvis_memcnp.datasets.moving_shapes.levels import LEVELS


def frame_size(text: str) -> tuple[int, int]:
    """Parse HxW."""
    parts = text.lower().split('x')
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not HEIGHTxWIDTH, such as 128x192')
    return int(parts[0]), int(parts[1])


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', help='folder to make')
    parser.add_argument('--videos', type=int, default=50)
    parser.add_argument(
        '--frames', type=int, default=20, help='frames of a video')
    parser.add_argument(
        '--size',
        type=frame_size,
        default=(128, 192),
        help='HEIGHTxWIDTH in pixels, default 128x192')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='take another one for validation than for training')
    parser.add_argument('--level', choices=sorted(LEVELS), default='easy')
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> None:
    """Generate."""
    args = parse_args()
    path = generate(args.out, args.videos, args.frames, args.size, args.seed,
                    args.level, args.overwrite)
    print(f'{path}\n{path.with_name("preview.png")}')


if __name__ == '__main__':
    run_tool(main)
