"""Memory of a backbone's training step, with and without ``with_cp``.

With ``with_cp=True`` in its config a backbone keeps little for the backward
pass and computes it once more there. Each setting is a forward and a backward
pass in a process of its own, on random frames and weights. What the
table says is the most memory beyond that of the weights, gradients included.

Example:

    python tools/benchmark/activation_memory.py \
        configs/minvis/minvis_swin-l_16xb2-6k_youtubevis2019.py \
        --size 480 864 --frames 1
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from soak_session import MIB, resident
from torch import Tensor, nn

import mmvis_memcnp  # noqa: F401
from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.models.backbones import DINOv2


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(480, 864),
        metavar=('HEIGHT', 'WIDTH'), help='of the frames (default: 480 864)')
    parser.add_argument('--frames', type=int, default=1,
                        help='frames a step on a device (default: 1)')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--with-cp', choices=('False', 'True'),
                        help='measure this setting alone and print a json')
    return parser.parse_args()


def build(cfg: Config, with_cp: bool) -> nn.Module:
    """The backbone of a config, with random weights, in training mode."""
    init_default_scope('mmdet')
    config = dict((cfg.model.get('segmenter') or cfg.model).backbone)
    backbone = MODELS.build(dict(config, init_cfg=None, with_cp=with_cp))
    backbone.train()
    return backbone


def outputs(backbone: nn.Module, frames: Tensor) -> list[Tensor]:
    """Maps or tokens of frames (B, 3, H, W)."""
    if not isinstance(backbone, DINOv2):
        return backbone(frames)
    tokens, _ = backbone.embed(frames)
    for block in backbone.blocks:
        tokens = backbone.run(block, tokens)
    return [tokens]


def measure(args: argparse.Namespace) -> dict[str, float]:
    """MiB and seconds of a forward and a backward pass."""
    torch.manual_seed(0)
    cfg = preflight.load_config(args.config)
    preflight.check_parts(cfg, args.config, 'model')
    backbone = build(cfg, args.with_cp == 'True').to(args.device)
    frames = torch.randn(args.frames, 3, *args.size, device=args.device)
    on_gpu = frames.device.type == 'cuda'
    before = (torch.cuda.memory_allocated() / MIB if on_gpu
              else resident()[0])
    begin = time.process_time()
    loss = torch.stack([x.square().mean()
                        for x in outputs(backbone, frames)]).sum()
    loss.backward()
    seconds = time.process_time() - begin
    most = (torch.cuda.max_memory_allocated() / MIB if on_gpu
            else resident()[1])
    weights = sum(p.numel() for p in backbone.parameters()
                  if p.requires_grad) * 4 / MIB
    return dict(mib=most - before, gradients_mib=weights, seconds=seconds)


def main() -> None:
    """Measure both settings, or one."""
    args = parse_args()
    if args.with_cp:
        print(json.dumps(measure(args)))
        return
    print('| with_cp | most memory (MiB) | of it gradients (MiB) '
          '| seconds of the processor |\n|---|---|---|---|')
    for with_cp in ('False', 'True'):
        done = subprocess.run(
            [sys.executable, str(Path(__file__)), *sys.argv[1:], '--with-cp',
             with_cp], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(done.returncode)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        print(f'| {with_cp} | {found["mib"]:.0f} '
              f'| {found["gradients_mib"]:.0f} | {found["seconds"]:.0f} |',
              flush=True)


if __name__ == '__main__':
    run_tool(main)
