"""Uncertainty of every pyramid level or decoder layer (Fig. 6 of the MemCNP
paper).

A row a frame: the frame, then the mean standard deviation of the box sides,
as predicted (in half sides of the box; with ``box_unit='image'``, fractions of
the image); warm is uncertain. SipMask has it at each point of a level; IDOL
and SeqFormer have it for each query of a layer, DVIS-DAQ for each row of the
last layer of its tracker, drawn at the centre of its box. SeqFormer takes the
frames as one clip.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

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


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='of a model with MemCNP')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--frames', type=int, nargs='+', default=[0],
                        help='numbers from 0 (default: 0)')
    parser.add_argument('--height', type=pixels, default=240,
                        help='pixels of a frame in the figure (default: 240)')
    add_model_options(parser)
    add_picture_options(parser, 'outputs/uncertainty_maps.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.checkpoint, args.video])
    if min(args.frames) < 0:
        raise UserError(f'--frames count from 0, got {args.frames}.')
    images = read_frames(args.video, args.frames)
    probe = memcnp_probe(VISInferencer.from_args(args))
    save_picture(args, probe.uncertainty([images[f] for f in args.frames],
                                            args.height))


if __name__ == '__main__':
    run_tool(main)
