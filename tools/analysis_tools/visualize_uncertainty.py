"""Uncertainty maps of every pyramid level (Fig. 6 of the MemCNP paper).

A row a frame: the frame, then the mean standard deviation of the box sides
that each point of a level predicts; warm is uncertain.
"""
import argparse

import torch

from mmvis_memcnp.apis import VISInferencer, read_frames
from mmvis_memcnp.engine.errors import UserError, run_tool
from mmvis_memcnp.visualization import (
    draw_uncertainty_maps,
    spread_map,
    write_image,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='of a model with MemCNP')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--frames', type=int, nargs='+', default=[0],
                        help='numbers from 0 (default: 0)')
    parser.add_argument('--height', type=int, default=240,
                        help='pixels of a frame in the figure (default: 240)')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--out', default='outputs/uncertainty_maps.png')
    return parser.parse_args()


@torch.no_grad()
def main() -> None:
    args = parse_args()
    if min(args.frames) < 0:
        raise UserError(f'--frames count from 0, got {args.frames}.')
    images = read_frames(args.video, args.frames)
    inferencer = VISInferencer(args.config, args.checkpoint, args.device)
    head = getattr(inferencer.model, 'bbox_head', None)
    if not hasattr(head, 'uncertainty_maps'):
        raise UserError(f'{args.config} has no head with uncertainty maps: '
                        'use a config with MemCNP.')
    rows = []
    for number in args.frames:
        inputs, metas = inferencer.prepare([images[number]])
        maps = head.uncertainty_maps(inferencer.model.extract_feat(inputs))
        rows.append([
            spread_map(m[0].cpu().numpy(), inputs.shape[-2:],
                       metas[0]['img_shape'], metas[0]['ori_shape'])
            for m in maps
        ])
    figure = draw_uncertainty_maps([images[f] for f in args.frames], rows,
                                   head.strides, args.height)
    write_image(args.out, figure)
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
