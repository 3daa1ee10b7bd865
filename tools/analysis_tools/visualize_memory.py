"""What the memory retrieves for a point (Fig. 7 of the MemCNP paper).

The query point, then the most similar items of the memory, each as the box
around the query that its stored distances make.
"""
import argparse

import numpy as np
import torch

from mmvis_memcnp.apis import VISInferencer, read_frames
from mmvis_memcnp.engine.errors import UserError, run_tool
from mmvis_memcnp.visualization import draw_memory, write_image


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='of a model with MemCNP')
    parser.add_argument('checkpoint')
    parser.add_argument('video', help='video, folder of images or pattern')
    parser.add_argument('--frame', type=int, default=0,
                        help='number from 0 (default: 0)')
    parser.add_argument('--point', type=float, nargs=2, metavar=('X', 'Y'),
                        help='query in pixels of the frame; default: the '
                        'centre of the best detection, else of the frame')
    parser.add_argument('--level', type=int, default=0,
                        help='pyramid level, 0 is the finest (default: 0)')
    parser.add_argument('--topk', type=int, default=5)
    parser.add_argument('--height', type=int, default=240,
                        help='pixels of the frame in the figure '
                        '(default: 240)')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--out', default='outputs/memory.png')
    return parser.parse_args()


@torch.no_grad()
def main() -> None:
    args = parse_args()
    if args.frame < 0:
        raise UserError(f'--frame counts from 0, got {args.frame}.')
    image = read_frames(args.video, [args.frame])[args.frame]
    inferencer = VISInferencer(args.config, args.checkpoint, args.device)
    head = getattr(inferencer.model, 'bbox_head', None)
    if getattr(head, 'memcnp', None) is None:
        raise UserError(f'{args.config} has no head with a memory: use a '
                        'config with MemCNP.')
    if not 0 <= args.level < len(head.strides):
        raise UserError(f'--level must lie in 0..{len(head.strides) - 1}, got '
                        f'{args.level}.')
    inputs, metas = inferencer.prepare([image])
    feats = inferencer.model.extract_feat(inputs)
    scale = np.array(metas[0]['scale_factor'][:2])
    size = np.array(image.shape[1::-1])
    if args.point is None:
        best = inferencer.model.segment(inputs, metas)[0]
        point = size / 2
        if len(best):
            box = best.bboxes[best.scores.argmax()].cpu().numpy()
            point = (box[:2] + box[2:]) / 2
    else:
        point = np.array(args.point)
    if not (0 <= point).all() or not (point < size).all():
        raise UserError(f'--point {point.tolist()} lies outside the frame of '
                        f'{size[0]}x{size[1]} pixels.')
    stride = head.strides[args.level]
    rows, columns = feats[args.level].shape[-2:]
    x, y = np.minimum(point * scale // stride,
                      [columns - 1, rows - 1]).astype(int).tolist()
    scores, boxes = head.memory_lookup(feats, args.level, y, x, args.topk)
    height, width = inputs.shape[-2:]
    pixels = boxes.cpu().numpy() * np.array([width, height] * 2)
    figure = draw_memory(image, (np.array([x, y]) + .5) * stride / scale,
                         pixels / np.tile(scale, 2), scores.tolist(),
                         args.height)
    write_image(args.out, figure)
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
