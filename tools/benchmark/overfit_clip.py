"""Over-fit one clip and score the model on the same clip.

A model that cannot learn eighty frames by heart has a bug. Trains
``configs/sipmask/sipmask-memcnp_r18_one-clip.py`` on the given YouTube-VIS
style json alone, tests on it, prints AP and the time taken, and exits 1 below
the wanted scores.

Example:

    python tools/benchmark/overfit_clip.py clip/instances.json clip/JPEGImages
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/sipmask/sipmask-memcnp_r18_one-clip.py'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path, help='annotations of the clip')
    parser.add_argument('frames', type=Path, help='folder of its frames')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/one_clip'))
    parser.add_argument('--iters', type=int, help='default: of the config')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--min-ap', type=float, default=0.70)
    parser.add_argument('--min-ap50', type=float, default=0.95)
    return parser.parse_args()


def main() -> int:
    """Train, test, compare."""
    args = parse_args()
    annotations, frames = args.json.resolve(), args.frames.resolve()
    categories = json.loads(annotations.read_text())['categories']
    classes = tuple(c['name'] for c in sorted(
        categories, key=lambda c: c['id']))
    options = [f'test_evaluator.ann_file={annotations}',
               f'val_evaluator.ann_file={annotations}']
    for loader in ('train', 'val', 'test'):
        dataset = f'{loader}_dataloader.dataset'
        options += [
            f'{dataset}.data_root=', f'{dataset}.ann_file={annotations}',
            f'{dataset}.data_prefix.img_path={frames}',
            f'{dataset}.metainfo.classes={classes!r}'
        ]
    schedule = [] if args.iters is None else [
        f'train_cfg.max_iters={args.iters}',
        f'train_cfg.val_interval={args.iters + 1}',
        f'param_scheduler.1.end={args.iters}'
    ]
    start = time.time()
    _run('train.py', CONFIG, '--work-dir', args.work_dir, '--seed', args.seed,
         '--cfg-options', *options, *schedule)
    minutes = (time.time() - start) / 60
    checkpoint = (args.work_dir / 'last_checkpoint').read_text().strip()
    results = args.work_dir / 'results.json'
    _run('test.py', CONFIG, checkpoint, '--work-dir', args.work_dir / 'test',
         '--out', results, '--cfg-options', *options)
    printed = subprocess.run([
        sys.executable, ROOT / 'tools/analysis_tools/eval_results.py', results,
        annotations, '--json'
    ], check=True, capture_output=True, text=True).stdout
    scores = json.loads(printed.strip().splitlines()[-1])
    print(f'AP {scores["AP"]:.3f} (wanted {args.min_ap}), AP50 '
          f'{scores["AP50"]:.3f} (wanted {args.min_ap50}), trained for '
          f'{minutes:.1f} minutes')
    return int(scores['AP'] < args.min_ap or scores['AP50'] < args.min_ap50)


def _run(tool: str, *args) -> None:
    command = [sys.executable, ROOT / 'tools' / tool, *args]
    subprocess.run([str(c) for c in command], check=True)


if __name__ == '__main__':
    sys.exit(main())
