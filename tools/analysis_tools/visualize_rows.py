"""What the tracker of MinVIS or O2VIS remembers and reads in a video.

  memory      of which frames the memory of each object consists over time, and
              how far each frame shows it (as Fig. 4 of the O2VIS paper);
              --cfg-options model.tracker.memory... compares memories
  attention   which queries of a frame the rows of T_E (existing) or T_A
              (aligning) read (as Fig. 6)
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

import torch

from mmvis_memcnp.apis import VISInferencer, open_source
from mmvis_memcnp.cli.options import add_model_options
from mmvis_memcnp.cli.output_options import (
    add_picture_options,
    check_picture,
)
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.probes.rows import follow_rows
from mmvis_memcnp.results.ownership import new_file
from mmvis_memcnp.visualization.rows import (
    memory_contents,
    plot_attention,
    plot_memory,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('figure', choices=['memory', 'attention'])
    parser.add_argument('config', help='of MinVIS or O2VIS')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--max-frames', type=int, default=50,
                        help='frames that are looked at (default: 50)')
    parser.add_argument('--objects', type=int, default=8,
                        help='the ones with the best scores (default: 8)')
    parser.add_argument('--frame', type=int, default=-1,
                        help='attention: number from 0 (default: the last)')
    parser.add_argument('--tracker', choices=['existing', 'aligning'],
                        default='aligning', help='attention: whose (default: '
                        'aligning)')
    add_model_options(parser)
    add_picture_options(parser, 'outputs/rows.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.checkpoint, args.video])
    if args.objects < 1:
        raise UserError(f'--objects must be at least 1, got {args.objects}.')
    inferencer = VISInferencer.from_args(args)
    try:
        rows = follow_rows(
            inferencer, open_source(args.video, args.max_frames))
    except ValueError as error:
        raise UserError(str(error)) from error
    probs = torch.from_numpy(rows.logits).softmax(-1).numpy()
    scores = torch.from_numpy(rows.logits).mean(0).softmax(-1)[:, :-1]
    best = scores.amax(1).argsort(descending=True)[:args.objects].tolist()
    if args.figure == 'memory':
        contents = memory_contents(rows.memory[:, best],
                                   rows.written[:, best])
        figure = plot_memory(contents, 1 - probs[:, best, -1],
                             rows.occupied[:, best], best)
    else:
        maps = rows.attention.get(args.tracker)
        if maps is None:
            raise UserError(f'The tracker of {args.config} has no layers '
                            f'{args.tracker!r}: it has '
                            f'{sorted(rows.attention) or "none"}.')
        count = len(maps)
        if not -count <= args.frame < count:
            raise UserError(f'--frame must lie in 0..{count - 1}, got '
                            f'{args.frame}.')
        frame = args.frame % count
        figure = plot_attention(maps[frame][best], rows.order[frame][best],
                                best, f'{args.tracker}, frame {frame}')
    with new_file(args.out, args.overwrite, '--out') as path:
        figure.savefig(path)
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
