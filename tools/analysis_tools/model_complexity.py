"""Count parameters and floating-point operations of a model.

Operations are those of the frame network in evaluation mode, for one frame: a
multiplication and an addition are two. Convolutions, matrix products and
attention are counted; norms, activations, resizing, sampling, selection and
the masks of single instances are not. A deformable convolution counts as a
convolution of the same size, whichever implementation runs.

``memcnp`` is the number of parameters of the memory and its read-out; the
four channels that a head has more for the standard deviations belong to the
head.

Overrides of --cfg-options go into both configs of a comparison.

Hosts with queries are counted as the ResNet-50 columns of the paper's Table 1
read best: only what is trained, and as "neck" the whole deformable transformer
with its plain box branches. The head is the rest: input projection, classes,
masks, embeddings and all that MemCNP adds to the box branches, which is also
``memcnp`` there. The MLP of a contrast that only training uses is
``trainable``, not ``total``. A memory that moving averages alone write is a
buffer, which is not counted. The paper's Swin-L column has the input
projection in the neck: configs/idol/sources.yml.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmvis_memcnp.apis import load_config
from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.class_counts import sync_classes
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.models.segmenters.deformable import build_box_branches
from mmvis_memcnp.models.vis import VIS

# Other parts are the head.
PARTS = dict(backbone='backbone', neck='neck', pixel_decoder='neck')
# What Table 1 calls the neck of a host with queries, beside box branches.
TRANSFORMER = ('encoder', 'decoder', 'reference_points')


def build_model(path: str | Path, options: dict | None = None) -> VIS:
    """The model of a config, with random weights; needs no network."""
    cfg = load_config(path, options)
    preflight.check_parts(cfg, path, 'model')
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    sync_classes(cfg)
    return MODELS.build(cfg.model).eval()


def count_parameters(model: VIS) -> dict[str, int]:
    """Parameters of the parts of a model.

    Args:
        model (VIS): Its ``parts()`` have a ``backbone``, perhaps a
            ``neck`` or a ``pixel_decoder``, and ``box_branches`` if it is a
            host with queries.

    Returns:
        dict[str, int]: ``backbone``, ``neck``, ``head`` (the rest),
        ``total``, ``trainable`` and ``memcnp`` (part of the head); see the
        top of the file for hosts with queries.
    """
    parts = model.parts()
    if 'box_branches' in parts:
        return _count_query_host(parts)
    counts = dict(backbone=0, neck=0, head=0, total=0, trainable=0, memcnp=0)
    for name, parameter in nn.ModuleDict(parts).named_parameters():
        path = name.split('.')
        part = PARTS.get(path[0], 'head')
        counts[part] += parameter.numel()
        counts['total'] += parameter.numel()
        counts['trainable'] += parameter.numel() * parameter.requires_grad
        counts['memcnp'] += parameter.numel() * ('memcnp' in path)
    return counts


def _count_query_host(parts: dict[str, nn.Module]) -> dict[str, int]:
    """Parts as the ResNet-50 columns of Table 1 have them."""

    def trained(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters() if p.requires_grad)

    branches: Any = parts['box_branches']
    with torch.device('meta'):
        plain = trained(
            build_box_branches(len(branches), branches[0].last.in_features))
    counts = {name: trained(part) for name, part in parts.items()}
    trainable, backbone = sum(counts.values()), counts['backbone']
    total = trainable - counts.get('memcnp_training', 0)
    neck = plain + sum(counts[name] for name in TRANSFORMER)
    return dict(
        backbone=backbone,
        neck=neck,
        head=total - backbone - neck,
        total=total,
        trainable=trainable,
        memcnp=counts.get('memcnp', 0) + counts['box_branches'] - plain)


@torch.no_grad()
def count_flops(model: nn.Module, shape: tuple[int, int]) -> int:
    """Operations of the network for one frame; see the top of the file.

    Args:
        model (nn.Module): Takes (N, T, 3, H, W) with ``mode='tensor'``.
        shape (tuple[int, int]): (H, W) of the network input, which is
            padded to the multiple that the model's preprocessor pads to.
    """
    step = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
    height, width = (-(-side // step) * step for side in shape)
    counter = FlopCounterMode(display=False)
    with _as_convolutions(), _frozen(model), counter:
        model(torch.zeros(1, 1, 3, height, width), mode='tensor')
    return counter.get_total_flops()


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Let no parameter ask for gradients: the counter hooks every input of
    a module that does, and fails at a view made without a graph."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def _as_convolutions() -> Iterator[None]:
    """Replace deformable convolutions, whose cost is hidden in an op."""
    # Not before mmvis_memcnp, which brings the ops where mmcv has none.
    from mmcv.ops import DeformConv2d, ModulatedDeformConv2d

    def plain(self: nn.Module, x: Tensor, *_: Tensor) -> Tensor:
        # The real one pads inputs that are smaller than its kernel.
        low = [max(k - s, 0) for k, s in zip(self.kernel_size, x.shape[-2:],
                                             strict=True)]
        grown = F.pad(x, (0, low[1], 0, low[0]))
        out = F.conv2d(grown, self.weight, None, self.stride, self.padding,
                       self.dilation, self.groups)
        return out[..., :out.shape[-2] - low[0], :out.shape[-1] - low[1]]

    with patch.object(DeformConv2d, 'forward', plain), \
            patch.object(ModulatedDeformConv2d, 'forward', plain):
        yield


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--shape', type=int, nargs=2, default=[480, 864],
                        metavar=('H', 'W'), help='network input; default: '
                        'what a 16:9 video becomes at (960, 480), 480 864')
    parser.add_argument('--no-flops', action='store_true',
                        help='count parameters only')
    parser.add_argument('--compare', metavar='CONFIG2',
                        help='also count this one, and give the ratio of '
                        'operations CONFIG / CONFIG2')
    parser.add_argument('--json', action='store_true',
                        help='last line is a JSON object')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if min(args.shape) < 1:
        raise UserError(f'--shape must be positive, got {args.shape}.')
    model = build_model(args.config, args.cfg_options)
    report: dict = count_parameters(model)
    for name, count in report.items():
        print(f'{name:10} {count:12,d} parameters, {count / 1e6:6.2f} M')
    if 'box_branches' in model.parts():
        print('As the ResNet-50 columns of Table 1 of the paper: trained '
              'parameters alone; the neck is the deformable transformer with '
              'its plain box branches. The input projection is in the head, '
              'in the Swin-L column in the neck.')
    if not args.no_flops:
        shape = tuple(args.shape)
        report.update(flops=count_flops(model, shape), shape=list(shape))
        print(f'{"flops":10} {report["flops"] / 1e9:12.2f} G at '
              f'{shape[0]}x{shape[1]} (height x width)')
        if args.compare:
            other = count_flops(
                build_model(args.compare, args.cfg_options), shape)
            report.update(flops_compared=other,
                          flops_ratio=report['flops'] / other)
            print(f'{"compared":10} {other / 1e9:12.2f} G: '
                  f'{report["flops_ratio"] - 1:+.2%} for {args.config}')
    if args.json:
        print(json.dumps(report))


if __name__ == '__main__':
    run_tool(main)
