"""Ground truth and results side by side (Fig. 9 and 10 of the MemCNP paper).

    visualize_results.py ANN_FILE FRAMES --results SipMask=a.json MemCNP=b.json

A row each for the ground truth (if the file has one) and every results.json,
a column a frame. Colours are those of the ground truth's identities.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
from pathlib import Path

import numpy as np

from mmvis_memcnp.apis import read_frames
from mmvis_memcnp.cli.numbers import pixels
from mmvis_memcnp.cli.output_options import (
    add_picture_options,
    check_picture,
    save_picture,
)
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.evaluation.annotated_video import AnnotatedVideo
from mmvis_memcnp.visualization import draw_comparison


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('ann_file', help='YouTube-VIS style json')
    parser.add_argument('img_prefix', help='folder that its file names are '
                        'relative to')
    parser.add_argument('--results', nargs='+', default=[],
                        metavar='NAME=FILE', help='rows, with their names')
    parser.add_argument('--video', type=int, help='id; default: the first')
    parser.add_argument('--frames', type=int, nargs='+', help='numbers from '
                        '0; default: six, evenly spread')
    parser.add_argument('--score-thr', type=float, default=0.3)
    parser.add_argument('--height', type=pixels, default=200,
                        help='pixels of a frame in the figure (default: 200)')
    add_picture_options(parser, 'outputs/results.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.ann_file])
    annotated = AnnotatedVideo(args.ann_file, args.video)
    files = [Path(args.img_prefix) / f for f in annotated.file_names]
    frames = args.frames or np.unique(
        np.linspace(0, len(files) - 1, 6).round().astype(int)).tolist()
    if not all(0 <= f < len(files) for f in frames):
        raise UserError(f'--frames must lie in 0..{len(files) - 1}, got '
                        f'{frames}.')
    rows = {}
    truth = annotated.ground_truth(frames)
    if any(len(result) for result in truth):
        rows['ground truth'] = truth
    for item in args.results:
        name, equals, path = item.partition('=')
        if not equals:
            raise UserError(f'--results takes NAME=FILE, got {item}.')
        rows[name] = annotated.results(path, frames)
    if not rows:
        raise UserError(f'{args.ann_file} has no annotations of this video: '
                        'give --results.')
    images = read_frames([files[f] for f in frames], range(len(frames)))
    figure = draw_comparison(list(images.values()), rows, annotated.classes,
                             [f'frame {f}' for f in frames], args.score_thr,
                             args.height)
    save_picture(args, figure)


if __name__ == '__main__':
    run_tool(main)
