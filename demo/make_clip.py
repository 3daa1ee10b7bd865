"""Make the demo clip: one MovingShapes video as an mp4.

    python demo/make_clip.py demo/moving_shapes.mp4
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import tempfile
from pathlib import Path

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from mmvis_memcnp.images import list_images, read_image
from mmvis_memcnp.results.ownership import check_file, new_file
from mmvis_memcnp.visualization import VideoWriter


def main() -> None:
    """Generate, then encode."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('out', type=Path)
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--seed', type=int, default=11)
    parser.add_argument('--level', choices=('easy', 'hard'), default='easy')
    add_overwrite_option(parser)
    args = parser.parse_args()
    check_file(args.out, 'OUT', args.overwrite)
    height, width = 256, 384
    with tempfile.TemporaryDirectory() as folder, \
            new_file(args.out, args.overwrite, 'OUT') as name:
        data = generate(Path(folder) / 'clip', 1, args.frames,
                        (height, width), args.seed, args.level)
        writer = VideoWriter(name, 10, (height, width), 'mp4v')
        for path in list_images(data.parent / 'JPEGImages' / '0001'):
            writer.write(read_image(path))
        writer.close()


if __name__ == '__main__':
    run_tool(main)
