"""How long everything after the network takes, beside the released codes.

Synthetic mask logits, as a network gives them, become run-length codes at the
size of the original frame: on every way back of the package, and in the way of
the released codes, which take query after query, make the mask on the whole
canvas and code it alone. Both must give the same codes. CPU time, one thread,
in turn, in one run; medians.

    python tools/benchmark/after_network.py --csv outputs/after_network.csv

With ``--device cuda`` the same on a GPU, by the clock.
"""
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.results import RLE, MaskSource
from mmvis_memcnp.results.ownership import (
    check_file,
    new_file,
)
from mmvis_memcnp.results.pixels import FrameMeta

#: Who goes which way, and input pixels a mask value.
WAYS = dict(nearest=('IDOL, SeqFormer', 4),
            resample=('InstanceFormer', 4),
            stretch=('InstanceFormer as released', 4),
            bilinear=('the Mask2Former family', 4),
            paste=('SipMask', 2))
#: Objects, size in the network without padding, size of the original.
CASES = [(2, (360, 640), (360, 640)), (10, (360, 640), (360, 640)),
         (40, (360, 640), (360, 640)), (20, (480, 864), (480, 864)),
         (2, (360, 640), (720, 1280)), (10, (360, 640), (720, 1280)),
         (40, (360, 640), (720, 1280)), (20, (360, 640), (1080, 1920))]


def blobs(count: int, cells: tuple[int, int], seed: int = 0) -> Tensor:
    """Logits (count, h, w) of compact objects with ragged edges, each on 3 to
    4 of 100 pixels of the frame in the mean."""
    rng = torch.Generator().manual_seed(seed)
    y, x = ((torch.arange(side) + .5) / side for side in cells)
    middle, sides = torch.rand(2, count, 2, 1, generator=rng)
    sides = .05 + .15 * sides
    values = 4 - 4 * (((y - middle[:, 0]) / sides[:, 0])[..., None]**2 +
                      ((x - middle[:, 1]) / sides[:, 1])[:, None]**2)
    ragged = torch.randn(count, 1, *(-(-side // 6) for side in cells),
                         generator=rng)
    return values + .7 * F.interpolate(ragged, size=cells, mode='bicubic')[
        :, 0]


def released(values: Tensor, meta: FrameMeta, way: str, stride: int,
             threshold: float) -> list[RLE]:
    """The same work, query after query."""
    ori, image = meta['ori_shape'], meta['img_shape']
    codes = []
    for query in values:
        whole = query[None, None]
        if way in ('nearest', 'bilinear'):
            whole = F.interpolate(
                whole, size=meta['batch_input_shape'], mode='bilinear',
                align_corners=False)[:, :, :image[0], :image[1]]
            whole = F.interpolate(whole, size=ori) if way == 'nearest' else \
                F.interpolate(whole, size=ori, mode='bilinear',
                              align_corners=False)
        elif way == 'paste':
            x, y = meta['scale_factor']
            whole = F.interpolate(
                whole, scale_factor=(stride / y, stride / x), mode='bilinear',
                align_corners=False)[:, :, :ori[0], :ori[1]]
        elif way == 'stretch':
            whole = F.interpolate(whole, size=ori, mode='bilinear',
                                  align_corners=False)
        else:
            whole = F.grid_sample(whole, _grid(query, meta, stride),
                                  padding_mode='border', align_corners=False)
        mask = (whole[0, 0] > threshold).cpu().numpy()
        codes.append(coco_mask.encode(
            np.array(mask[:, :, None], order='F', dtype='uint8'))[0])
    return codes


def _grid(query: Tensor, meta: FrameMeta, stride: int) -> Tensor:
    """Where the pixels of the original lie on the canvas."""
    axes = [(torch.arange(ori, device=query.device) + .5) / ori *
            (image / (stride * cells)) * 2 - 1
            for ori, image, cells in zip(
                meta['ori_shape'], meta['img_shape'], query.shape,
                strict=True)]
    return torch.stack(torch.meshgrid(
        axes[1], axes[0], indexing='xy'), -1)[None]


class Clock:
    """CPU time, or of a GPU the time until it has done all."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == 'cuda'

    def __call__(self) -> float:
        if not self.cuda:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def of(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Milliseconds, and what came out."""
        begin = self()
        found = work()
        return (self() - begin) * 1e3, found


def rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a case and way."""
    device = torch.device(args.device)
    clock = Clock(device)
    for count, image, ori in CASES:
        padded = tuple(-(-side // 32) * 32 for side in image)
        meta = FrameMeta(
            img_shape=image, ori_shape=ori, batch_input_shape=padded,
            scale_factor=(image[1] / ori[1], image[0] / ori[0]))
        for way, (systems, stride) in WAYS.items():
            values = blobs(count, (padded[0] // stride, padded[1] // stride))
            threshold = 0.
            if way == 'paste':
                values, threshold = values.sigmoid(), .5
            values = values.to(device)
            source = MaskSource(values, meta, way, stride, threshold)
            every = torch.arange(count, device=device)

            def theirs(way: str = way, stride: int = stride,
                       values: Tensor = values, meta: FrameMeta = meta,
                       threshold: float = threshold) -> list[RLE]:
                return released(values, meta, way, stride, threshold)

            def ours(source: MaskSource = source, every: Tensor = every
                     ) -> list[RLE]:
                return source.encode(every)

            both = [theirs(), ours()]
            if device.type == 'cpu' and both[0] != both[1]:
                raise SystemExit(f'{way}, {count} objects at {ori}: the '
                                 'codes differ.')
            pairs = np.array([[clock.of(work)[0] for work in (theirs, ours)]
                              for _ in range(args.repeats)])
            median = np.median(pairs, 0)
            yield dict(
                way=way, systems=systems, objects=count,
                network='{}x{}'.format(*image), original='{}x{}'.format(*ori),
                released_ms=round(median[0], 2),
                package_ms=round(median[1], 2),
                ratio=round(np.median(pairs[:, 1] / pairs[:, 0]), 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--repeats', type=int, default=15,
                        help='pairs a row; more are steadier')
    parser.add_argument('--csv', type=Path, help='where the rows go')
    args = parser.parse_args()
    if args.csv:
        check_file(args.csv, '--csv', overwrite=True)
    torch.set_num_threads(1)
    found = []
    print('| way back | objects | network | original | released, ms | '
          'package, ms | ratio |\n| --- | --- | --- | --- | --- | --- | --- |')
    for row in rows(args):
        found.append(row)
        print('| {way} ({systems}) | {objects} | {network} | {original} | '
              '{released_ms} | {package_ms} | {ratio} |'.format(**row),
              flush=True)
    if args.csv:
        with new_file(args.csv, overwrite=True) as part, \
                open(part, 'w', newline='') as file:
            writer = csv.DictWriter(file, list(found[0]))
            writer.writeheader()
            writer.writerows(found)


if __name__ == '__main__':
    run_tool(main)
