"""Compare the wall clock time of the demo with that of another checkout.

Runs the demo of both on the shipped clip in turn, each in a process of its
own, and prints the seconds after the imports: everything from the command
line to the written files. The results json of both must name as many tracks
of as many frames.

Example:

    git worktree add /tmp/other bf8f459
    python tools/benchmark/demo_speed.py /tmp/other --repeats 7
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from mmvis_memcnp.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/sipmask/sipmask-memcnp_r18_movingshapes.py'
CHECKPOINT = 'demo/weights/sipmask-memcnp_r18_movingshapes.pth'
# Runs in the checkout; prints the seconds.
RUN = '''
import os, runpy, sys, time
main = runpy.run_path('demo/video_demo.py')['main']
wall, cpu = time.perf_counter(), time.process_time()
main()
print('SECONDS', time.perf_counter() - wall, time.process_time() - cpu)
'''


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='checkout to compare with')
    parser.add_argument('--repeats', type=int, default=5,
                        help='runs of each (default: %(default)s)')
    parser.add_argument('--threads', type=int, help='of PyTorch and OpenMP '
                        "(default: PyTorch's own choice)")
    return parser.parse_args()


def run(checkout: Path, threads: int | None,
        weights: Path) -> tuple[float, float, list]:
    """One run of a checkout's demo.

    Returns:
        tuple: Seconds by the wall clock and of processors, and the number of
        frames of each track.
    """
    environment = dict(os.environ, PYTHONPATH=str(checkout))
    if threads:
        environment['OMP_NUM_THREADS'] = str(threads)
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [sys.executable, '-c', RUN, 'demo/moving_shapes.mp4', CONFIG,
             str(weights), '--out-dir', out],
            cwd=checkout, env=environment, capture_output=True, text=True,
            check=False)
        if done.returncode:
            raise UserError(f'The demo of {checkout} failed: '
                            f'{done.stderr.strip().splitlines()[-1]}')
        entries = json.loads(Path(out, 'moving_shapes.json').read_text())
    last = next(line for line in done.stdout.splitlines()
                if line.startswith('SECONDS'))
    wall, cpu = map(float, last.split()[1:])
    return wall, cpu, [len(e['segmentations']) for e in entries]


def main() -> None:
    args = parse_args()
    checkouts = dict(other=args.other.resolve(), this=ROOT)
    for checkout in checkouts.values():
        if not (checkout / CHECKPOINT).is_file():
            raise UserError(f'{checkout} is no checkout of this repository: '
                            f'it has no {CHECKPOINT}.')
    times: dict[str, list[tuple[float, float]]] = {n: [] for n in checkouts}
    for turn in range(args.repeats):
        for name in sorted(checkouts, reverse=turn % 2 > 0):
            # Weights of their own time may not suit the other one's model.
            wall, cpu, tracks = run(checkouts[name], args.threads,
                                    checkouts[name] / CHECKPOINT)
            times[name].append((wall, cpu))
            print(f'{name:6} {wall:7.2f} s, processors {cpu:6.2f} s, '
                  f'{len(tracks)} tracks of {max(tracks, default=0)} frames, '
                  f'load {os.getloadavg()[0]:.1f}', flush=True)
    pairs = [o[0] / t[0] for o, t in zip(times['other'], times['this'],
                                         strict=True)]
    for name, found in times.items():
        walls, cpus = zip(*found, strict=True)
        print(f'{name:6} median {statistics.median(walls):.2f} s, '
              f'minimum {min(walls):.2f} s; processors median '
              f'{statistics.median(cpus):.2f} s')
    least = (min(t[0] for t in times[name]) for name in ('other', 'this'))
    other, this = least
    print(f'times as fast: median of the pairs {statistics.median(pairs):.2f} '
          f'({min(pairs):.2f} to {max(pairs):.2f}), of the minima '
          f'{other / this:.2f}')


if __name__ == '__main__':
    from mmvis_memcnp.cli.run import run_tool
    run_tool(main)
