"""Make the demo clip: one MovingShapes video as an mp4.

    python demo/make_clip.py demo/moving_shapes.mp4
"""
import argparse
import tempfile
from pathlib import Path

import cv2

from mmvis_memcnp.datasets.moving_shapes.generate import generate


def main() -> None:
    """Generate, then encode."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('out', type=Path)
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--seed', type=int, default=11)
    parser.add_argument('--level', choices=('easy', 'hard'), default='easy')
    args = parser.parse_args()
    height, width = 256, 384
    with tempfile.TemporaryDirectory() as folder:
        generate(
            Path(folder) / 'clip', 1, args.frames, (height, width), args.seed,
            args.level)
        writer = cv2.VideoWriter(
            str(args.out), cv2.VideoWriter_fourcc(*'mp4v'), 10,
            (width, height))
        for path in sorted((Path(folder) / 'clip').rglob('*.jpg')):
            writer.write(cv2.imread(str(path)))
        writer.release()


if __name__ == '__main__':
    main()
