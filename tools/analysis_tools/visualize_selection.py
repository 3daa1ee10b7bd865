"""Training samples by selection and level (Fig. 4 of the MemCNP paper).

A row a selection: yellow dots are positive, blue ones negative, hollow ones
ignored. SipMask selects points, a column a pyramid level (YOLO, FCOS,
ObjectBox, USS); IDOL selects queries, a column a decoder layer, each at its
reference point (SimOTA, the host's own matching, and USS); of DVIS-DAQ it is
rows of the tracker's last layer (USS, which adds to its matching). SeqFormer
keeps its matching of whole clips and selects nothing in a frame. USS needs the
model's uncertainty; without a checkpoint it is that of random weights.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
from pathlib import Path

import torch
from mmengine.structures import InstanceData

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
from mmvis_memcnp.evaluation.annotated_video import AnnotatedVideo
from mmvis_memcnp.probes import memcnp_probe
from mmvis_memcnp.visualization import draw_selections


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='of a model with MemCNP')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument('--ann-file', required=True,
                        help='YouTube-VIS style json with ground truth')
    parser.add_argument('--img-prefix', required=True, help='folder that its '
                        'file names are relative to')
    parser.add_argument('--video', type=int, help='id; default: the first')
    parser.add_argument('--frame', type=int, default=0,
                        help='number from 0 (default: 0)')
    parser.add_argument('--selections', nargs='+', metavar='NAME',
                        help='rows (default: all that the model has)')
    parser.add_argument('--height', type=pixels, default=300,
                        help='pixels of a frame in the figure (default: 300)')
    add_model_options(parser)
    add_picture_options(parser, 'outputs/selection.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.ann_file])
    annotated = AnnotatedVideo(args.ann_file, args.video)
    files = annotated.file_names
    if not 0 <= args.frame < len(files):
        raise UserError(f'--frame must lie in 0..{len(files) - 1}, got '
                        f'{args.frame}.')
    truth = annotated.ground_truth([args.frame])[0]
    if not len(truth):
        raise UserError(f'Frame {args.frame} has no objects: choose another.')
    path = Path(args.img_prefix) / files[args.frame]
    image = read_frames([path], [0])[0]
    probe = memcnp_probe(VISInferencer.from_args(args))
    names = args.selections or list(probe.selections)
    if set(names) - set(probe.selections) and probe.selections:
        raise UserError(f'--selections of this model are '
                        f'{" ".join(probe.selections)}, got '
                        f'{" ".join(names)}.')
    objects = InstanceData(bboxes=torch.from_numpy(truth.boxes),
                           labels=torch.from_numpy(truth.labels))
    selections = probe.select(image, objects, annotated.classes, names)
    save_picture(args, draw_selections(image, truth.boxes, selections,
                                       probe.stages, args.height))


if __name__ == '__main__':
    run_tool(main)
