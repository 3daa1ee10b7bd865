"""SipMask with and without MemCNP on MovingShapes, several seeds.

Generates the data where it is missing, trains the two small configs with each
seed on the easy level (runs that are finished are not done again, runs that
were stopped go on), tests every model on easy and hard validation videos,
writes one row a run and level, and prints mean and standard deviation.

Example:

    python tools/benchmark/moving_shapes_study.py --seeds 0 1 2 \
        --work-dir work_dirs/study --csv docs/benchmarks/moving_shapes.csv
"""
import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ('sipmask', 'sipmask-memcnp')
SCORES = ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'IDF1', 'id_switches')
DATA = Path('data/moving_shapes')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/study'))
    parser.add_argument(
        '--csv', type=Path, default=Path('docs/benchmarks/moving_shapes.csv'))
    parser.add_argument(
        '--test-only', action='store_true', help='train nothing')
    return parser.parse_args()


def run(tool: str, *args) -> str:
    """Run one of the repository's tools; its output."""
    command = [sys.executable, str(ROOT / 'tools' / tool)]
    done = subprocess.run(
        command + [str(a) for a in args], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f'{tool} failed (exit {done.returncode}); see above.')
    return done.stdout


def make_data() -> None:
    """Easy training videos, easy and hard validation videos."""
    for level, split, videos, frames, seed in (
            ('easy', 'train', 600, 16, 0), ('easy', 'val', 50, 20, 1000),
            ('hard', 'val', 50, 20, 1000)):
        folder = DATA / level / split
        if not folder.exists():
            run('dataset_converters/moving_shapes.py', folder, '--videos',
                videos, '--frames', frames, '--size', '128x192', '--seed',
                seed, '--level', level)


def score(model: str, seed: int, level: str, args) -> dict:
    """Test one trained model on one level."""
    config = ROOT / f'configs/sipmask/{model}_r18_movingshapes.py'
    work_dir = args.work_dir / f'{model}_s{seed}'
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    truth = (DATA / level / 'val/instances.json').resolve()
    # Of this checkpoint: a run that went on is tested again.
    results = work_dir / f'{level}_{Path(checkpoint).stem}.json'
    if not results.exists():
        run('test.py', config, checkpoint, '--work-dir', work_dir / 'test',
            '--ann-file', truth, '--out', results, '--cfg-options',
            'test_dataloader.dataset.data_root=',
            'test_dataloader.dataset.data_prefix.img_path='
            f'{truth.parent / "JPEGImages"}')
    scores = json.loads(
        run('analysis_tools/eval_results.py', results, truth, '--tracking',
            '--json').strip().splitlines()[-1])
    scores['IDF1'] = scores['tracking']['idf1']
    scores['id_switches'] = scores['tracking']['num_switches']
    return dict(model=model, seed=seed, level=level,
                **{name: round(float(scores[name]), 4) for name in SCORES})


def main() -> None:
    """Train, test, collate."""
    args = parse_args()
    make_data()
    rows = []
    for seed in args.seeds:
        for model in MODELS:
            work_dir = args.work_dir / f'{model}_s{seed}'
            if not args.test_only:
                run('train.py',
                    ROOT / f'configs/sipmask/{model}_r18_movingshapes.py',
                    '--work-dir', work_dir, '--seed', seed, '--resume')
            if not (work_dir / 'last_checkpoint').exists():
                continue
            rows += [score(model, seed, level, args)
                     for level in ('easy', 'hard')]
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with open(args.csv, 'w', newline='') as file:
        writer = csv.DictWriter(file, ['model', 'seed', 'level', *SCORES])
        writer.writeheader()
        writer.writerows(rows)
    print('| model | level | seeds | AP | AP50 | AP75 | AR10 | IDF1 |')
    print('|---|---|---|---|---|---|---|---|')
    for level in ('easy', 'hard'):
        for model in MODELS:
            own = [r for r in rows
                   if r['model'] == model and r['level'] == level]
            if not own:
                continue
            cells = [spread([100 * r[name] for r in own])
                     for name in ('AP', 'AP50', 'AP75', 'AR10', 'IDF1')]
            print(f'| {model} | {level} | {len(own)} | '
                  f'{" | ".join(cells)} |')


def spread(values: list[float]) -> str:
    """Mean and standard deviation, in points."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.
    return f'{statistics.mean(values):.1f} ± {deviation:.1f}'


if __name__ == '__main__':
    main()
