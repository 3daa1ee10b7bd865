"""Training samples by selection and level (Fig. 4 of the MemCNP paper).

A row a selection (YOLO, FCOS, ObjectBox, USS), a column a pyramid level:
yellow points are positive, blue ones negative, hollow ones ignored. USS needs
the model's uncertainty; without a checkpoint it is that of random weights.
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData

from mmvis_memcnp.apis import VISInferencer, read_frames
from mmvis_memcnp.engine.errors import UserError, run_tool
from mmvis_memcnp.visualization import (
    LevelSelection,
    draw_selections,
    write_image,
)
from mmvis_memcnp.visualization.annotations import AnnotatedVideo

SELECTIONS = dict(YOLO='YOLOCellAssigner', FCOS='FCOSPointAssigner',
                  ObjectBox='ObjectBoxAssigner', USS='USSAssigner')


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
    parser.add_argument('--selections', nargs='+', choices=SELECTIONS,
                        default=list(SELECTIONS))
    parser.add_argument('--height', type=int, default=300,
                        help='pixels of a frame in the figure (default: 300)')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--out', default='outputs/selection.png')
    return parser.parse_args()


@torch.no_grad()
def main() -> None:
    args = parse_args()
    annotated = AnnotatedVideo(args.ann_file, args.video)
    files = annotated.video['file_names']
    if not 0 <= args.frame < len(files):
        raise UserError(f'--frame must lie in 0..{len(files) - 1}, got '
                        f'{args.frame}.')
    truth = annotated.ground_truth([args.frame])[0]
    if not len(truth):
        raise UserError(f'Frame {args.frame} has no objects: choose another.')
    path = Path(args.img_prefix) / files[args.frame]
    image = read_frames([path], [0])[0]
    inferencer = VISInferencer(args.config, args.checkpoint, args.device)
    head = getattr(inferencer.model, 'bbox_head', None)
    if not hasattr(head, 'uncertainty_maps'):
        raise UserError(f'{args.config} has no head with uncertainty maps: '
                        'use a config with MemCNP.')
    inputs, metas = inferencer.prepare([image])
    maps = [m[0].cpu() for m in head.uncertainty_maps(
        inferencer.model.extract_feat(inputs))]
    scale = torch.tensor(metas[0]['scale_factor'][:2])
    selections = {
        name: select(SELECTIONS[name], maps, head.strides, truth, scale)
        for name in args.selections
    }
    figure = draw_selections(image, truth.bboxes.numpy(), selections,
                             head.strides, args.height)
    write_image(args.out, figure)
    print(args.out)


def select(kind: str, maps: list[torch.Tensor], strides: list[int],
           truth: InstanceData,
           scale: torch.Tensor) -> list[LevelSelection]:
    """Points of each level that a selection takes.

    Args:
        kind (str): Registered assigner.
        maps (list[Tensor]): (H, W) uncertainty of each level.
        strides (list[int]): Input pixels a cell of each level.
        truth (InstanceData): Objects, in pixels of the frame.
        scale (Tensor): (x, y) network size over frame size.
    """
    priors, levels = [], []
    for level, (values, stride) in enumerate(zip(maps, strides, strict=True)):
        y, x = torch.meshgrid(*(torch.arange(n) for n in values.shape),
                              indexing='ij')
        points = (torch.stack([x, y], -1).flatten(0, 1) + .5) * stride
        priors.append(torch.cat([points, torch.full_like(points, stride)], 1))
        levels.append(torch.full((len(points), ), level))
    sigma = torch.cat([values.flatten() for values in maps])
    points = InstanceData(priors=torch.cat(priors), levels=torch.cat(levels),
                          sigmas=sigma[:, None].repeat(1, 4))
    objects = InstanceData(bboxes=truth.bboxes * scale.repeat(2),
                           labels=truth.labels)
    found = TASK_UTILS.build(dict(type=kind)).assign(points, objects).gt_inds
    out = []
    for level, stride in enumerate(strides):
        here = points.levels == level
        gt_inds = found[here].numpy()
        out.append(
            LevelSelection((points.priors[here, :2] / scale).numpy(),
                           gt_inds > 0, gt_inds == 0,
                           stride / float(np.mean(scale.numpy()))))
    return out


if __name__ == '__main__':
    run_tool(main)
