"""What the queries of InstanceFormer do in a video.

  points      reference points of the last decoder layer on frames (Fig. 4 of
              the paper)
  embedding   the queries of all frames in a plane, a colour an instance
              (Fig. 7); t-SNE needs scikit-learn
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

import numpy as np
import torch

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
from mmvis_memcnp.models.segmenters.deformable import DecodedFrames
from mmvis_memcnp.models.vis import InstanceFormer
from mmvis_memcnp.results.ownership import new_file
from mmvis_memcnp.visualization import (
    draw_reference_points,
    embed_in_plane,
    plot_queries,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('figure', choices=['points', 'embedding'])
    parser.add_argument('config', help='of InstanceFormer')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--frames', type=int, nargs='+',
                        help='points: numbers from 0 (default: the first 4)')
    parser.add_argument('--max-frames', type=int, default=50,
                        help='frames that are looked at (default: 50)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='video score of an instance (default: 0.3)')
    parser.add_argument('--method', choices=['tsne', 'pca'], default='tsne')
    parser.add_argument('--height', type=pixels, default=240,
                        help='pixels of a frame in the figure '
                        '(default: 240)')
    add_model_options(parser)
    add_picture_options(parser, 'outputs/queries.png')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_picture(args, [args.checkpoint, args.video])
    inferencer = VISInferencer.from_args(args)
    model = inferencer.model
    if not isinstance(model, InstanceFormer):
        raise UserError(f'{args.config} is no InstanceFormer: use a config '
                        'of configs/instanceformer.')
    images: list[np.ndarray] = []
    points: list[np.ndarray] = []
    queries: list[np.ndarray] = []

    def keep(_module: torch.nn.Module, _args: tuple,
             decoded: DecodedFrames) -> None:
        points.append(decoded.references[-1][0, :, :2].cpu().numpy())
        queries.append(decoded.queries[-1, 0].float().cpu().numpy())

    model.segmenter.decoder.register_forward_hook(keep)
    wanted = args.frames if args.frames is not None else [0, 1, 2, 3]
    session = inferencer.session()
    count = 0
    for image in open_source(args.video, args.max_frames):
        session.step(image)
        if count in wanted:
            images.append(image)
        count += 1
    chosen = [t.id for t in session.finish().tracks
              if t.score >= args.score_thr]
    if not chosen:
        raise UserError(f'No instance has a score of {args.score_thr}: lower '
                        '--score-thr.')
    if args.figure == 'points':
        shown = sorted(set(wanted))
        if args.frames is None:
            shown = [t for t in shown if t < count]
        if shown[0] < 0 or shown[-1] >= count:
            raise UserError(f'--frames must lie in 0..{count - 1}, got '
                            f'{args.frames}.')
        save_picture(args, draw_reference_points(
            images, np.stack([points[t][chosen] for t in shown]), chosen,
            [f'frame {t}' for t in shown], args.height))
    else:
        vectors = np.concatenate([frame[chosen] for frame in queries])
        plane = embed_in_plane(vectors, args.method)
        figure = plot_queries(plane, chosen * count, f'{count} frames')
        with new_file(args.out, args.overwrite, '--out') as path:
            figure.savefig(path)
        print(args.out)


if __name__ == '__main__':
    run_tool(main)
