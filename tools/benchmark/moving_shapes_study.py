"""Small models on MovingShapes, several seeds.

Generates the data where it is missing, trains the small configs with each
seed on one level (runs that are finished are not done again, runs that were
stopped go on), tests every model on easy and hard validation videos, puts one
row a run and level into a csv, where rows of other runs stay, and prints mean
and standard deviation of all rows.

Example:

    python tools/benchmark/moving_shapes_study.py --seeds 0 1 2 \
        --work-dir work_dirs/study --csv docs/benchmarks/moving_shapes.csv
    python tools/benchmark/moving_shapes_study.py --seeds 0 \
        --train-level hard --configs configs/idol/idol_r18_movingshapes.py
"""
import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.files import check_place, replacing

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [
    ROOT / f'configs/sipmask/{name}_r18_movingshapes.py'
    for name in ('sipmask', 'sipmask-memcnp')
]
KEYS = ('model', 'trained_on', 'seed', 'level')
SCORES = ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'IDF1', 'id_switches')
LEVELS = ('easy', 'hard')
DATA = Path('data/moving_shapes')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--configs', type=Path, nargs='+', default=CONFIGS,
        help='default: SipMask without and with MemCNP')
    parser.add_argument('--train-level', choices=LEVELS, default='easy')
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


def make_data(train_level: str) -> None:
    """Training videos of a level, easy and hard validation videos."""
    for level, split, videos, frames, seed in (
            (train_level, 'train', 600, 16, 0), ('easy', 'val', 50, 20, 1000),
            ('hard', 'val', 50, 20, 1000)):
        folder = DATA / level / split
        if not folder.exists():
            run('dataset_converters/moving_shapes.py', folder, '--videos',
                videos, '--frames', frames, '--size', '128x192', '--seed',
                seed, '--level', level)


def train(config: Path, work_dir: Path, seed: int, level: str) -> None:
    """Train a config on a level, or go on where it was stopped."""
    root = f'{DATA / level}/'
    run('train.py', config, '--work-dir', work_dir, '--seed', seed, '--resume',
        '--cfg-options', f'train_dataloader.dataset.data_root={root}',
        f'val_dataloader.dataset.data_root={root}',
        f'val_evaluator.ann_file={root}val/instances.json')


def score(config: Path, work_dir: Path, level: str) -> dict[str, float]:
    """Test a trained model on one level."""
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
    return {name: round(float(scores[name]), 4) for name in SCORES}


def read_rows(path: Path) -> dict[tuple[str, ...], dict]:
    """Rows of earlier runs."""
    if not path.exists():
        return {}
    with open(path, newline='') as file:
        reader = csv.DictReader(file)
        if list(reader.fieldnames or ()) != [*KEYS, *SCORES]:
            raise UserError(f'{path} is no table of this study and is left '
                            'as it is: give --csv another name.')
        return {tuple(row[k] for k in KEYS): row for row in reader}


def write_rows(path: Path, rows: dict[tuple[str, ...], dict]) -> None:
    """All rows, in order."""
    with replacing(path) as name, open(name, 'w', newline='') as file:
        writer = csv.DictWriter(file, [*KEYS, *SCORES])
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))


def main() -> None:
    """Train, test, collate."""
    args = parse_args()
    check_place(args.csv.parent, '--csv')
    check_place(args.work_dir, '--work-dir')
    read_rows(args.csv)
    make_data(args.train_level)
    for seed in args.seeds:
        for config in args.configs:
            model = config.stem.replace('_r18', '').removesuffix(
                '_movingshapes')
            work_dir = args.work_dir / (
                f'{model}_{args.train_level}_s{seed}')
            if not args.test_only:
                train(config, work_dir, seed, args.train_level)
            if not (work_dir / 'last_checkpoint').exists():
                continue
            for level in LEVELS:
                scores = score(config, work_dir, level)
                key = (model, args.train_level, str(seed), level)
                # Read again: another study may write beside this one.
                rows = read_rows(args.csv)
                rows[key] = dict(zip(KEYS, key, strict=True), **scores)
                write_rows(args.csv, rows)
    print_table(list(read_rows(args.csv).values()))


def print_table(rows: list[dict]) -> None:
    """Mean and standard deviation over the seeds."""
    names = ('AP', 'AP50', 'AP75', 'AR10', 'IDF1')
    print(f'| model | trained on | level | seeds | {" | ".join(names)} |')
    print('|---' * (4 + len(names)) + '|')
    groups: dict[tuple[str, ...], list[dict]] = {}
    for row in rows:
        groups.setdefault(
            (row['model'], row['trained_on'], row['level']), []).append(row)
    for group, own in groups.items():
        cells = [spread([100 * float(r[name]) for r in own])
                 for name in names]
        print(f'| {" | ".join(group)} | {len(own)} | {" | ".join(cells)} |')


def spread(values: list[float]) -> str:
    """Mean and standard deviation, in points."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.
    return f'{statistics.mean(values):.1f} ± {deviation:.1f}'


if __name__ == '__main__':
    run_tool(main)
