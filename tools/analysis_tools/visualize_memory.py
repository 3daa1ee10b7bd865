"""What the memory retrieves for a point (Fig. 7 of the MemCNP paper).

The query point, then the most similar items of the memory, each as the box
around the query that its stored distances make. In SipMask the memory is read
at the points of a pyramid level, in IDOL and SeqFormer by the queries of a
decoder layer, in DVIS-DAQ by the rows of the tracker, which stand at their
reference points. For SeqFormer the frame is a clip of its own.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

import numpy as np

from mmvis_memcnp.apis import VISInferencer, read_frames
from mmvis_memcnp.cli.numbers import pixels
from mmvis_memcnp.cli.options import add_model_options
from mmvis_memcnp.cli.output_options import (
    add_picture_options,
    check_picture,
    save_picture,
)
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.probes import memcnp_probe
from mmvis_memcnp.visualization import draw_memory


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='of a model with MemCNP')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--frame', type=int, default=0,
                        help='number from 0 (default: 0)')
    parser.add_argument('--point', type=float, nargs=2, metavar=('X', 'Y'),
                        help='in pixels of the frame; of queries the '
                        'nearest one is\ntaken (default: the best detection)')
    parser.add_argument('--level', type=int,
                        help='pyramid level, 0 is the finest, or decoder '
                        'layer\n(default: level 0 or the last layer)')
    parser.add_argument('--topk', type=int, default=5,
                        help='items (default: 5)')
    parser.add_argument('--height', type=pixels, default=240,
                        help='pixels of the frame in the figure '
                        '(default: 240)')
    add_model_options(parser)
    add_picture_options(parser, 'outputs/memory.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.checkpoint, args.video])
    if args.frame < 0:
        raise UserError(f'--frame counts from 0, got {args.frame}.')
    image = read_frames(args.video, [args.frame])[args.frame]
    size = np.array(image.shape[1::-1])
    point = None if args.point is None else np.array(args.point)
    if point is not None and not ((0 <= point) & (point < size)).all():
        raise UserError(f'--point {args.point} lies outside the frame of '
                        f'{size[0]}x{size[1]} pixels.')
    probe = memcnp_probe(VISInferencer.from_args(args))
    level = probe.default_stage if args.level is None else args.level
    if not 0 <= level < len(probe.stages):
        raise UserError(f'--level must lie in 0..{len(probe.stages) - 1}, got '
                        f'{level}.')
    found = probe.retrieve(image, level, point, args.topk)
    save_picture(args, draw_memory(image, found.point, found.boxes,
                                      found.scores, args.height))


if __name__ == '__main__':
    run_tool(main)
