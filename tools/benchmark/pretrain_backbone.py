"""Initial weights for the small backbones: classify objects of a data set.

Takes windows around the objects of a YouTube-VIS style json at their own
scale and trains the backbone of a config, with a linear layer on its last
map, to tell their classes. What ImageNet is to the large models, this is to
the small ones that are trained on generated data.

Example:

    python tools/benchmark/pretrain_backbone.py \
        configs/sipmask/sipmask_r18_movingshapes.py \
        data/moving_shapes/easy/train checkpoints/r18_movingshapes.pth
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from tqdm import tqdm, trange

import mmvis_memcnp  # noqa: F401
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.images import read_image
from mmvis_memcnp.results.ownership import check_file, new_file

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('data', type=Path, help='instances.json, JPEGImages')
    parser.add_argument('out', type=Path)
    parser.add_argument('--iters', type=int, default=1000)
    parser.add_argument('--batch', type=int, default=48)
    parser.add_argument('--window', type=int, default=64, help='pixels')
    parser.add_argument('--seed', type=int, default=0)
    add_overwrite_option(parser)
    return parser.parse_args()


def read_objects(data: Path) -> tuple[list, np.ndarray, np.ndarray]:
    """Frames, and for each visible object its frame, centre and class.

    Returns:
        Frames (H, W, 3) RGB uint8; (n, 3) frame index, x, y; (n,) class.
    """
    content = json.loads((data / 'instances.json').read_text())
    frames, first = [], {}
    for video in tqdm(content['videos'], desc='read'):
        first[video['id']] = len(frames)
        frames += [
            read_image(data / 'JPEGImages' / name)[..., ::-1]
            for name in video['file_names']
        ]
    places, labels = [], []
    for track in content['annotations']:
        for t, box in enumerate(track['bboxes']):
            # Slivers of hidden objects tell nothing.
            if box is None or min(box[2:]) < 20:
                continue
            places.append((first[track['video_id']] + t,
                           box[0] + box[2] / 2, box[1] + box[3] / 2))
            labels.append(track['category_id'] - 1)
    return frames, np.array(places), np.array(labels)


def windows(frames: list, places: np.ndarray, size: int,
            rng: np.random.Generator) -> Tensor:
    """Windows (n, 3, size, size) around objects, shifted, scaled, flipped."""
    out = []
    for index, x, y in places:
        scale = rng.uniform(0.75, 1.)
        half = size / 2 / scale
        dx, dy = rng.uniform(-6, 6, 2)
        matrix = np.float32([[scale, 0, scale * (half - x - dx)],
                             [0, scale, scale * (half - y - dy)]])
        window = cv2.warpAffine(
            frames[int(index)], matrix, (size, size),
            borderMode=cv2.BORDER_REFLECT)
        out.append(window[:, ::-1] if rng.random() < 0.5 else window)
    x = torch.from_numpy(np.ascontiguousarray(out)).permute(0, 3, 1, 2)
    return (x.float() - MEAN) / STD


def main() -> None:
    """Train and save the backbone's weights."""
    args = parse_args()
    check_file(args.out, 'OUT', args.overwrite, [args.config])
    init_default_scope('mmdet')
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    model_cfg = Config.fromfile(args.config).model
    backbone = MODELS.build(model_cfg.get('segmenter', model_cfg).backbone)
    backbone.init_weights()
    frames, places, labels = read_objects(args.data)
    # Every tenth object shows whether the rest is learnt or remembered.
    held = np.arange(len(labels)) % 10 == 0
    with torch.no_grad():
        width = backbone(torch.zeros(2, 3, 64, 64))[-1].shape[1]
    linear = nn.Linear(width, int(labels.max()) + 1)
    model = nn.ModuleList([backbone, linear])
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-3, total_steps=args.iters)

    def classify(x: Tensor) -> Tensor:
        return linear(backbone(x)[-1].mean((2, 3)))

    train = np.flatnonzero(~held)
    model.train()
    progress = trange(args.iters, desc='train')
    for _ in progress:
        chosen = rng.choice(train, args.batch)
        loss = F.cross_entropy(
            classify(windows(frames, places[chosen], args.window, rng)),
            torch.from_numpy(labels[chosen]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        progress.set_postfix(loss=f'{loss.detach():.3f}')
    model.eval()
    chosen = rng.choice(np.flatnonzero(held), min(1000, held.sum()))
    with torch.no_grad():
        hits = torch.cat([
            classify(windows(frames, places[part], args.window, rng)).argmax(
                1) == torch.from_numpy(labels[part])
            for part in np.array_split(chosen, 10)
        ])
    print(f'accuracy on objects held back: {hits.float().mean():.3f}')
    with new_file(args.out, args.overwrite, 'OUT') as name:
        torch.save(dict(state_dict=backbone.state_dict()), name)


if __name__ == '__main__':
    run_tool(main)
