"""Detections with their uncertainty (Fig. 8 of the MemCNP paper).

Frames of a video in a row; the half axes of the ellipses at the corners of a
box are proportional to the standard deviations of its sides.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

import numpy as np

from mmvis_memcnp.apis import VISInferencer, open_source
from mmvis_memcnp.cli.numbers import pixels
from mmvis_memcnp.cli.options import add_model_options
from mmvis_memcnp.cli.output_options import (
    add_picture_options,
    check_picture,
    save_picture,
)
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.visualization import draw_frame
from mmvis_memcnp.visualization.panels import grid


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--frames', type=int, nargs='+', default=[0],
                        help='numbers from 0 (default: 0)')
    parser.add_argument('--score-thr', type=float, default=0.3)
    parser.add_argument('--ellipse-scale', type=float,
                        help='drawn length of a standard deviation (default: '
                        '1 if the checkpoint has a map of them, else 0.1)')
    parser.add_argument('--height', type=pixels, default=360,
                        help='pixels of a frame in the figure (default: 360)')
    add_model_options(parser)
    add_picture_options(parser, 'outputs/detections.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.checkpoint, args.video])
    if min(args.frames) < 0:
        raise UserError(f'--frames count from 0, got {args.frames}.')
    source = open_source(args.video, max_frames=max(args.frames) + 1)
    inferencer = VISInferencer.from_args(args)
    pictures: dict[int, np.ndarray] = {}
    # Identities depend on the frames before, so all of them are followed.
    pairs = inferencer.session(length=source.length).follow(source)
    for number, (frame, result) in enumerate(pairs):
        if number in args.frames:
            pictures[number] = draw_frame(
                frame, result, inferencer.classes, args.score_thr,
                ellipse_scale=args.ellipse_scale)
    if set(args.frames) - set(pictures):
        raise UserError(f'{source.name} has {len(pictures)} of the frames '
                        f'{args.frames}: choose smaller numbers.')
    save_picture(args, grid([[pictures[f] for f in args.frames]],
                               column_titles=[f'frame {f}'
                                              for f in args.frames],
                               height=args.height))


if __name__ == '__main__':
    run_tool(main)
