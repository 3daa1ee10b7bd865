"""Compare the time and memory of scoring with those of mmdet's evaluator.

Makes a pair of jsons (300 videos of 30 frames, 4 objects and 10 predictions
each, 360x640), scores it with both, a process of its own for every run, the
two in turn, and prints medians. mmdet's evaluator needs ``np.float``, which
it is given. The twelve numbers must be the same.

Example:

    python tools/benchmark/evaluator_speed.py smooth ragged
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import contextlib
import importlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 360, 640
STATS = ('AP', 'AP50', 'AP75', 'AP_small', 'AP_medium', 'AP_large', 'AR1',
         'AR10', 'AR100', 'AR_small', 'AR_medium', 'AR_large')
KINDS = {  # classes, share of noisy pixels
    'smooth': (40, 0.),
    'ragged': (1, .02),
}


def blob(rng: np.random.Generator, noise: float) -> np.ndarray:
    """Runs of a star-shaped mask of (HEIGHT, WIDTH), in the middle.

    Args:
        rng: What the shape depends on.
        noise: Share of the pixels in and near it that are the other value.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    y, x = y - HEIGHT / 2, x - WIDTH / 2
    angle = np.arctan2(y, x)
    radius = rng.uniform(40, 110) * (1 + sum(
        rng.uniform(0, .3) / k * np.cos(k * angle + rng.uniform(0, 6.3))
        for k in range(1, 5)))
    distance = np.hypot(y, x)
    mask = distance < radius
    if noise:
        mask ^= (rng.random(mask.shape) < noise) & (distance < radius + 10)
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(np.diff(flat, prepend=False)) if flat.any() else []
    return np.diff(edges, prepend=0, append=flat.size)


def moved(runs: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The same mask elsewhere in the frame."""
    step = dx * HEIGHT + dy
    step = int(np.clip(step, 1 - runs[0], runs[-1] - 1))
    runs = runs.copy()
    runs[0] += step
    runs[-1] -= step
    return runs


def code(runs: np.ndarray, packed: bool) -> dict:
    """The entry of a json."""
    from pycocotools import mask as mask_utils
    size = [HEIGHT, WIDTH]
    counts = runs.tolist()
    if packed:
        counts = mask_utils.frPyObjects(
            dict(size=size, counts=counts), *size)['counts'].decode()
    return dict(size=size, counts=counts)


def write_pair(folder: Path, kind: str, videos: int, frames: int,
               predictions: int, runs_in_truth: bool) -> None:
    """Write gt.json and results.json."""
    rng = np.random.default_rng(0)
    classes, noise = KINDS[kind]
    shapes = [blob(rng, noise) for _ in range(200)]
    truth, results = [], []
    for video in range(1, videos + 1):
        paths = []
        for _ in range(4):
            start, speed = rng.uniform(-80, 80, 2), rng.uniform(-3, 3, 2)
            paths.append((start + np.arange(frames)[:, None] * speed
                          ).astype(int))
        labels = rng.integers(1, classes + 1, 4).tolist()
        for path, label in zip(paths, labels, strict=True):
            runs = shapes[rng.integers(len(shapes))]
            masks = [moved(runs, *place) for place in path.tolist()]
            truth.append(dict(
                id=len(truth) + 1, video_id=video, category_id=label,
                iscrowd=0, areas=[int(m[1::2].sum()) for m in masks],
                bboxes=None, segmentations=[code(m, not runs_in_truth)
                                            for m in masks]))
        for k in range(predictions):
            runs = shapes[rng.integers(len(shapes))]
            near = paths[k % 4] + rng.integers(-8, 9, 2)
            # Three of four of the class of the object they are near.
            label = labels[k % 4] if k % 4 else int(
                rng.integers(1, classes + 1))
            results.append(dict(
                video_id=video, category_id=label, score=rng.random(),
                segmentations=[code(moved(runs, *place), True)
                               for place in near.tolist()]))
    names = [f'{t:05d}.jpg' for t in range(frames)]
    (folder / 'gt.json').write_text(json.dumps(dict(
        videos=[dict(id=v, height=HEIGHT, width=WIDTH, length=frames,
                     file_names=names) for v in range(1, videos + 1)],
        categories=[dict(id=c, name=f'class {c}')
                    for c in range(1, classes + 1)],
        annotations=truth)))
    (folder / 'results.json').write_text(json.dumps(results))


class Clock:
    """Seconds of the parts of a run, and of processors in all of it."""

    def __init__(self) -> None:
        self.laps: list[float] = []
        self._wall, self._cpu = time.perf_counter(), sum(os.times()[:4])

    def lap(self) -> None:
        """A part ends."""
        now = time.perf_counter()
        self.laps.append(now - self._wall)
        self._wall = now

    def cpu(self) -> float:
        """Of this process and of those that have ended."""
        return sum(os.times()[:4]) - self._cpu


def score_here(gt: str, results: str, processes: int) -> tuple:
    """Times to read and to score, and the numbers; our own."""
    from mmvis_memcnp.evaluation.functional import (
        AnnotationFile,
        average_precision,
        check_results,
        read_results,
        reduce_results,
    )
    clock = Clock()
    truth = AnnotationFile.load(gt, check_masks=False,
                                by_video=processes > 1)
    tracks: list | str = results  # several processes read it together
    if processes == 1:
        tracks = read_results(results, check_masks=False)
        check_results(truth, tracks)
    clock.lap()
    cells = reduce_results(truth, tracks, processes=processes)
    stats = average_precision(cells, list(truth.categories)).stats()
    clock.lap()
    return clock, list(stats.values())


def score_mmdet(gt: str, results: str, processes: int) -> tuple:
    """The same of mmdet's copy of the official evaluator."""
    # Stand-ins for operators that mmcv may lack, without all the rest that
    # the package registers.
    package = types.ModuleType('mmvis_memcnp')
    package.__path__ = [str(ROOT / 'mmvis_memcnp')]
    sys.modules['mmvis_memcnp'] = package
    importlib.import_module('mmvis_memcnp.compat').apply()
    np.float = float  # type: ignore[attr-defined]
    from mmdet.evaluation.functional import YTVIS, YTVISeval
    with contextlib.redirect_stdout(io.StringIO()):
        clock = Clock()
        truth = YTVIS(gt)
        found = truth.loadRes(results)
        clock.lap()
        evaluator = YTVISeval(truth, found, 'segm')
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        clock.lap()
    return clock, evaluator.stats.tolist()


def work(name: str, folder: str, processes: int) -> None:
    """One run, in this process."""
    clock, stats = (score_mmdet if name == 'mmdet' else score_here)(
        f'{folder}/gt.json', f'{folder}/results.json', processes)
    read, score = clock.laps
    # Of this process alone: pages that forked ones share would count twice.
    peak = re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())
    print(json.dumps(dict(
        read=read, score=score, total=read + score, cpu=clock.cpu(),
        peak=int(peak[1]) / 1024 if peak else float('nan'), stats=stats)))


def run(name: str, folder: Path, processes: int = 1) -> dict:
    """One run in a process of its own; ``command`` is its whole time."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, '--work', name, str(folder),
         str(processes)],
        capture_output=True, text=True, check=False,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)))
    command = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]), command=command)


def run_tool(folder: Path) -> dict:
    """The whole command with all its scores."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/analysis_tools/eval_json.py',
         folder / 'gt.json', folder / 'results.json', '--json'],
        capture_output=True, text=True, check=True,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)))
    command = time.perf_counter() - begin
    numbers = json.loads(done.stdout.splitlines()[-1])
    return dict(command=command, stats=[numbers[n] for n in STATS])


def compare(kind: str, args: argparse.Namespace) -> None:
    """Print the rows of one kind of masks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pair(folder, kind, args.videos, args.frames, args.predictions,
                   args.runs)
        sizes = [(folder / f).stat().st_size / 1e6
                 for f in ('gt.json', 'results.json')]
        print(f'{kind}: gt.json {sizes[0]:.0f} MB, results.json '
              f'{sizes[1]:.0f} MB; medians of {args.repeats}', flush=True)
        rows: dict[str, list[dict]] = {}
        for _ in range(args.repeats):
            if not args.without_mmdet:
                rows.setdefault('mmdet', []).append(run('mmdet', folder))
            for processes, name in ((1, 'ours'), (2, 'ours, 2 processes')):
                rows.setdefault(name, []).append(
                    run('ours', folder, processes))
            rows.setdefault('eval_json.py', []).append(run_tool(folder))
    numbers = {str(np.round(r['stats'], 12))
               for found in rows.values() for r in found}
    baseline: dict = {}
    for name, found in rows.items():
        row = {key: statistics.median(r[key] for r in found)
               for key in found[0] if key != 'stats'}
        baseline = baseline or row
        print(f'  {name:18}' + ''.join(
            f' {key} {row[key]:7.2f} s ({row[key] / baseline[key]:.3f})'
            for key in ('read', 'score', 'total', 'cpu', 'command')
            if key in row)
            + (f' peak {row["peak"]:6.0f} MB' if 'peak' in row else ''),
            flush=True)
    print(f'  the twelve numbers: {len(numbers)} version(s)')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kinds', nargs='+', choices=sorted(KINDS))
    parser.add_argument('--videos', type=int, default=300)
    parser.add_argument('--frames', type=int, default=30)
    parser.add_argument('--predictions', type=int, default=10)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--runs', action='store_true',
                        help='lists of runs in gt.json, as in released ones')
    parser.add_argument('--without-mmdet', action='store_true')
    args = parser.parse_args()
    for kind in args.kinds:
        compare(kind, args)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--work']:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
