"""The checks of gpu_check.py, which starts this file; see there.

A line of json is added to ``--rows`` when a check begins and when it has
ended, so that what is done survives whatever happens to the process.
"""
from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import speed  # noqa: E402  before mmdet: the package's shims
import torch  # noqa: E402
from mmdet.structures import TrackDataSample  # noqa: E402

from mmvis_memcnp.compat import mmcv_ext  # noqa: E402
from mmvis_memcnp.ops import library  # noqa: E402
from tests.fakes.tiny_sipmask import batch, frame, noise, total  # noqa: E402
from tests.parity import run_fixture  # noqa: E402

#: On a GPU sums have another order than in the official code, on a CPU.
SLACK = 10.


def environment(device: torch.device) -> dict[str, Any]:
    """What every number depends on."""
    found: dict[str, Any] = dict(
        python=platform.python_version(), torch=torch.__version__,
        numpy=np.__version__, cpus=os.cpu_count(),
        threads=torch.get_num_threads(),
        mmcv_operators='PyTorch stand-in' if mmcv_ext.stand_in() else
        'compiled',
        crop_split='compiled' if library.compiled_for(device.type) else
        'PyTorch')
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        found['commit'] = subprocess.run(
            ['git', '-C', str(ROOT), 'rev-parse', '--short', 'HEAD'],
            capture_output=True, text=True, check=True).stdout.strip()
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        found.update(
            device=properties.name, cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
            capability=f'{properties.major}.{properties.minor}',
            memory_gib=round(properties.total_memory / 2**30, 1),
            tf32_convolutions=torch.backends.cudnn.allow_tf32,
            tf32_products=torch.backends.cuda.matmul.allow_tf32)
    else:
        found.update(device=platform.processor() or platform.machine())
    return found


class _Counter:
    """Counts the tests that pytest runs, and keeps what failed."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called by pytest for each phase of each test."""
        if report.failed:
            error = str(report.longrepr).strip().splitlines()
            self.failed[report.nodeid.split('::')[-1]] = '\n'.join(
                error[-15:])[-1000:]
        self.passed += report.when == 'call' and report.passed


def run_tests(name: str, device: torch.device) -> dict[str, Any]:
    """Tests of one file: those for CUDA, or what goes without."""
    chosen = 'cuda' if device.type == 'cuda' else 'not cuda and not slow'
    counter, threads = _Counter(), torch.get_num_threads()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(['-q', '-p', 'no:cacheprovider', '-m', chosen,
                     str(ROOT / name)], plugins=[counter])
    torch.set_num_threads(threads)  # the tests take one
    return dict(ok=counter.passed > 0 and not counter.failed,
                passed=counter.passed, failed=counter.failed)


def run_parity(folder: str, device: torch.device) -> dict[str, Any]:
    """A fixture of an official code, at ``SLACK`` times its tolerances."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [x.allow_tf32 for x in settings]
    for x in settings:
        x.allow_tf32 = False
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            failed = run_fixture.run(
                folder, str(device), SLACK if device.type == 'cuda' else 1.)
    finally:
        for x, value in zip(settings, before, strict=True):
            x.allow_tf32 = value
    lines = printed.getvalue().splitlines()
    wrong = [line[:160] for line in lines if line.startswith('FAIL')]
    return dict(ok=not failed,
                arrays=sum(x.startswith(('ok', 'FAIL')) for x in lines),
                failed=wrong[:5] or lines[-1:] if failed else [])


def training_clip(size: tuple[int, int], seed: int) -> tuple:
    """Two frames with three objects that move."""
    height, width = size
    sample = TrackDataSample(
        metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    boxes = ((.05, .1, .45, .6), (.5, .15, .9, .8), (.3, .3, .6, .9))
    sample.video_data_samples = [
        frame([(i, i % 3, *(int((v + .02 * t) * side) for v, side in zip(
            box, (width, height) * 2, strict=True)))
               for i, box in enumerate(boxes)], size, t) for t in range(2)]
    return noise(2, size, seed), sample


def run_amp(config: str, dtype: str, device: torch.device,
            size: tuple[int, int]) -> dict[str, Any]:
    """Forward, losses and backward in mixed precision: all finite?"""
    model = speed.load(config, device, {}).model.train()
    inputs, samples = batch(model, training_clip(size, 0),
                            training_clip(size, 1))
    with torch.autocast(device.type, getattr(torch, dtype)):
        losses = model(inputs, samples, mode='loss')
    total(losses).backward()
    wrong = [n for n, x in losses.items() if not x.isfinite().all()]
    grads = {n: p.grad for n, p in model.named_parameters()
             if p.grad is not None}
    wrong += [n for n, x in grads.items() if not x.isfinite().all()]
    return dict(ok=not wrong and len(grads) > 0, gradients=len(grads),
                not_finite=wrong[:5], loss=round(total(losses).item(), 3))


def run(item: str, device: torch.device, tiny: bool) -> dict[str, Any]:
    """One check by its name, ``kind:what[:how[:HxW]]``."""
    kind, *what = item.split(':')
    small = (64, 96)
    if kind == 'environment':
        return dict(ok=True, **environment(device))
    if kind == 'tests':
        return run_tests(what[0], device)
    if kind == 'parity':
        return run_parity(what[0], device)
    if kind == 'amp':
        return run_amp(what[0], what[1], device, small if tiny else (360, 640))
    own = [tuple(map(int, x.split('x'))) for x in what[2:]]
    size, input_hw = (own * 2 or [small if tiny else speed.SIZE, None])[:2]
    return dict(ok=True, **speed.measure(
        what[0], speed.VARIANTS[what[1]], device, size, 3 if tiny else 20,
        input_hw))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('items', nargs='+')
    parser.add_argument('--rows', type=Path, required=True)
    parser.add_argument('--device', required=True)
    parser.add_argument('--tiny', action='store_true')
    args = parser.parse_args()
    device = torch.device(args.device)

    def note(**row: Any) -> None:
        with args.rows.open('a') as file:
            file.write(json.dumps(row) + '\n')

    for item in args.items:
        note(begin=item)
        begin = time.perf_counter()
        try:
            if device.type == 'cuda':
                torch.cuda.init()  # there are no statistics before
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            row = run(item, device, args.tiny)
        except Exception as error:  # whatever a check raises: it failed
            said = f'{type(error).__name__}: {error}'
            row = dict(ok=False, error=said[:500],
                       trace=traceback.format_exc()[-1500:])
        if device.type == 'cuda':
            row['peak_mib'] = round(
                torch.cuda.max_memory_allocated(device) / 2**20)
        note(item=item, seconds=round(time.perf_counter() - begin, 2), **row)


if __name__ == '__main__':
    main()
