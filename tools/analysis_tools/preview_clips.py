"""Clips as the training of a config sees them, a row each.

Frames after all transforms (without the padding of a batch), with the boxes,
masks and identities that the losses get. An identity has one colour in a row.

Example:

    python tools/analysis_tools/preview_clips.py \
        configs/ctvis/ablations/ctvis_swin-l_table5-all_ovis.py
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.numbers import pixels
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.output_options import (
    add_picture_options,
    check_picture,
    save_picture,
)
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.engine.seeding import derive_seed, seed_generators
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results import encode_masks, frame_result
from mmvis_memcnp.visualization import draw_frame
from mmvis_memcnp.visualization.panels import grid


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--clips', type=int, default=4,
                        help='rows of the picture (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of items and transforms (default: %(default)s)')
    parser.add_argument('--height', type=pixels, default=180,
                        help='pixels of a frame in the picture '
                        '(default: %(default)s)')
    add_config_options(parser)
    add_picture_options(parser, 'outputs/clips.png')
    return parser.parse_args()


def drawn(image: torch.Tensor, sample: DetDataSample,
          classes: tuple[str, ...]) -> np.ndarray:
    """A frame with its annotations.

    Args:
        image: (3, H, W) uint8, BGR.
        sample: Annotations of the frame.
        classes: Names of the labels.
    """
    gt = sample.gt_instances
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    height, width = picture.shape[:2]
    masks = torch.zeros(len(gt), height, width, dtype=torch.bool)
    own = torch.from_numpy(gt.masks.to_ndarray()).bool()
    masks[:, :own.shape[1], :own.shape[2]] = own  # a padded frame is larger
    return draw_frame(picture, frame_result(
        gt.instances_ids, gt.bboxes, torch.ones(len(gt)), gt.labels,
        encode_masks(masks), ori_shape=(height, width)), classes)


def main() -> None:
    """Draw."""
    args = parse_args()
    if args.clips < 1:
        raise UserError(f'--clips must be at least 1, got {args.clips}.')
    check_picture(args)
    cfg = preflight.load_config(args.config, args.cfg_options)
    preflight.check_parts(cfg, args.config, 'train_dataloader')
    preflight.check_annotations(cfg, 'train_dataloader')
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    classes = dataset.metainfo.get('classes', ())
    rows = []
    for number in range(args.clips):
        seed_generators(derive_seed(args.seed, number))
        clip = dataset[np.random.randint(len(dataset))]
        rows.append([
            drawn(image, sample, classes) for image, sample in zip(
                clip['inputs'], clip['data_samples'].video_data_samples,
                strict=True)])
    save_picture(args, grid(rows, height=args.height))


if __name__ == '__main__':
    run_tool(main)
