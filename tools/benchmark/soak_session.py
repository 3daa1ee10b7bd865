"""Whether a session's memory stays the same however long the video is.

Follows generated shapes for a few frames and for many, each in a process of
its own, and compares the most memory that either has held; exits 1 if the
long video took more than 1.05 times as much. Every 20 frames new shapes come,
so that a tracker always has somebody to remember and to forget. Results go to
disk, as in the demo.

Weights may be random if the thresholds let something through: how much was
found is printed, and a session that finds nothing is refused. A clip system
without windows keeps its whole video, so it does grow.

Example:

    python tools/benchmark/soak_session.py \
        configs/idol/idol_r18_movingshapes.py --cfg-options \
        model.score_thr=0.005 model.tracker.init_score_thr=0.005 \
        model.tracker.new_score_thr=0.005
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets.moving_shapes.levels import LEVELS
from mmvis_memcnp.datasets.moving_shapes.render import render
from mmvis_memcnp.datasets.moving_shapes.scene import make_scene
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results import FileSink

SCENE_FRAMES = 20
MAX_RATIO = 1.05
#: After so many frames a session has all that it needs.
SETTLED = 100
MAX_GROWTH = 1.02
MIB = 2**20


def parse_args(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument(
        '--frames', type=int, nargs='+', default=[50, 500], metavar='N',
        help='lengths of the short and the long video (default: 50 500); one '
        'alone is measured in this process and compared with its own first '
        f'{SETTLED} frames')
    parser.add_argument(
        '--size', type=int, nargs=2, default=[128, 192], metavar=('H', 'W'),
        help='of the frames; the config resizes them (default: 128 192)')
    parser.add_argument(
        '--level', choices=sorted(LEVELS), default='hard',
        help='of the generated shapes (default: hard, which has more)')
    parser.add_argument('--device', default='auto')
    add_config_options(parser)
    parser.add_argument('--json', action='store_true',
                        help='last line is a JSON object')
    args = parser.parse_args(argv)
    if len(args.frames) > 2 or min(args.frames) < 1 or sorted(
            set(args.frames)) != args.frames:
        raise UserError('--frames takes a short and a longer video, such as '
                        '50 500, or one length.')
    if min(args.size) < 48:
        raise UserError('--size must be at least 48 pixels each way, which '
                        'the shapes need.')
    return args


def shapes(size: tuple[int, int], level: str) -> Iterator[np.ndarray]:
    """Endless frames (H, W, 3), uint8, BGR: one short scene after another."""
    for number in count():
        scene = make_scene(np.random.default_rng(number), LEVELS[level],
                           SCENE_FRAMES, *size)
        for frame, _ in render(scene):
            yield frame


def resident() -> tuple[float, float]:
    """MiB of this process that are in memory now, and the most so far.

    ``getrusage`` would not do: what it calls the peak includes that of the
    process that started this one.
    """
    status = Path('/proc/self/status')
    if not status.is_file():
        raise UserError('The memory of a process is read from /proc, which '
                        'this system does not have: use Linux.')
    text = status.read_text()
    now, most = (
        int(re.findall(rf'{name}:\s+(\d+) kB', text)[0]) / 1024
        for name in ('VmRSS', 'VmHWM'))
    return now, most


def held() -> dict[str, float]:
    """What this process holds: the most memory so far in MiB, open files
    (and sockets, pipes), threads."""
    return dict(peak_mib=resident()[1],
                handles=len(os.listdir('/proc/self/fd')),
                threads=len(os.listdir('/proc/self/task')))


def mark(seen: bytearray, ids: list[int]) -> None:
    """Note identities, a byte each: a set of them would itself be growth."""
    seen.extend(bytes(max(0, max(ids, default=-1) + 1 - len(seen))))
    for one in ids:
        seen[one] = 1


def measure(args: argparse.Namespace, length: int) -> dict[str, Any]:
    """Follow a video and see what it takes.

    Args:
        args: From :func:`parse_args`.
        length: Frames.

    Returns:
        ``frames``; ``start_mib``, resident before the first frame;
        ``peak_mib`` at most, open ``handles`` and ``threads`` at the end and,
        of more than ``SETTLED`` frames, the same after these as ``settled``;
        on CUDA ``cuda_peak_mib``, allocated at most; ``instances``, mean of a
        frame; ``identities``; ``seconds``; ``user_ms`` and ``system_ms`` of
        the processor a frame.

    Raises:
        UserError: If nothing was found.
    """
    cfg = preflight.load_config(args.config, args.cfg_options)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = VISInferencer(cfg, args.checkpoint, args.device)
    session = inferencer.session(FileSink())
    frames = shapes(tuple(args.size), args.level)
    start_mib, begin = resident()[0], time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    instances, seen, settled = 0, bytearray(), {}
    for number in range(length):
        if number == SETTLED:
            settled = dict(settled=held())
        for result in session.step(next(frames)):
            instances += len(result)
            mark(seen, result.instances_id.tolist())
    for result in session.flush():
        instances += len(result)
        mark(seen, result.instances_id.tolist())
    at_end, now = held(), resource.getrusage(resource.RUSAGE_SELF)
    session.finish()
    if not instances:
        raise UserError(
            f'Nothing was found in {length} frames, so there was nothing to '
            'remember: give a checkpoint, or lower the thresholds with '
            '--cfg-options.')
    found = dict(
        frames=length, start_mib=start_mib, **at_end, **settled,
        instances=instances / length, identities=sum(seen),
        seconds=time.perf_counter() - begin,
        user_ms=1000 * (now.ru_utime - used.ru_utime) / length,
        system_ms=1000 * (now.ru_stime - used.ru_stime) / length)
    if inferencer.device.type == 'cuda':
        found['cuda_peak_mib'] = torch.cuda.max_memory_allocated() / MIB
    return found


def in_new_process(argv: list[str], length: int) -> dict[str, Any]:
    """Let this program measure one length; ends with it if it fails."""
    done = subprocess.run(
        [sys.executable, __file__, *argv, '--frames', str(length), '--json'],
        stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(short: dict[str, Any], long: dict[str, Any]) -> dict[str, Any]:
    """Ratios of the peaks, and whether they are small enough."""
    ratios = {
        key.replace('peak_mib', 'ratio'): long[key] / short[key]
        for key in ('peak_mib', 'cuda_peak_mib') if key in short
    }
    return dict(short=short, long=long, **ratios, max_ratio=MAX_RATIO,
                passed=max(ratios.values()) <= MAX_RATIO)


def growth(found: dict[str, Any]) -> dict[str, Any]:
    """How a session grew after its first frames, and whether that is little
    enough; nothing of one that was no longer than that."""
    settled = found.get('settled')
    if settled is None:
        return {}
    ratio = found['peak_mib'] / settled['peak_mib']
    more = {name: found[name] - settled[name]
            for name in ('handles', 'threads')}
    return dict(growth=ratio, more=more, max_growth=MAX_GROWTH,
                passed=ratio <= MAX_GROWTH and max(more.values()) <= 0)


def show(found: dict[str, Any]) -> None:
    """Print what a video took."""
    cuda = ''
    if 'cuda_peak_mib' in found:
        cuda = f', {found["cuda_peak_mib"]:.1f} MiB of CUDA memory'
    print('{frames} frames: peak {peak_mib:.1f} MiB resident ({start_mib:.1f} '
          'before the first){0}; {instances:.1f} instances a frame, '
          '{identities} identities, {seconds:.0f} s, {user_ms:.0f} + '
          '{system_ms:.0f} ms a frame of the processor'.format(cuda, **found),
          flush=True)


def main() -> None:
    """Measure one length, or both and their ratio."""
    argv = sys.argv[1:]
    args = parse_args(argv)
    if len(args.frames) == 1:
        report = measure(args, args.frames[0])
        show(report)
        report.update(growth(report))
        if 'growth' in report:
            print('after frame {}: memory {:.3f} times (at most {}), '
                  '{handles:+} open files, {threads:+} threads'.format(
                      SETTLED, report['growth'], MAX_GROWTH,
                      **report['more']))
    else:
        runs = []
        for length in args.frames:
            # The last --frames holds.
            runs.append(in_new_process(argv, length))
            show(runs[-1])
        report = compare(*runs)
        text = f'long / short: {report["ratio"]:.3f}'
        if 'cuda_ratio' in report:
            text += f', CUDA {report["cuda_ratio"]:.3f}'
        print(f'{text} (at most {MAX_RATIO})')
    if args.json:
        print(json.dumps(report))
    if not report.get('passed', True):
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)
