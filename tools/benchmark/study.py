"""Studies on MovingShapes: configs, with options, times seeds.

Generates the data where it is missing, trains every run of the yaml, tests it
on every level, and puts one row a run and level into docs/benchmarks/NAME.csv,
where rows of other runs stay. What a yaml holds is said in study_plan.py.

May be killed at any time: the same command goes on, leaves out what is in the
csv, and resumes a training that was stopped. A row whose settings differ from
those of its lines in the csv is refused. A training of the same settings and
seed is shared by all studies of a work dir. The device is that of PyTorch, a
GPU if there is one.

--report trains nothing and makes from the csv NAME.md (mean and standard
deviation over the seeds, differences to the baseline of the same seed with
their 95 % intervals), NAME.png (every seed a point) and, where the work
directories are, NAME_curves.png.

Examples, where STUDIES is tools/benchmark/studies:

    python tools/benchmark/study.py STUDIES/memcnp_paired.yaml --jobs 2
    python tools/benchmark/study.py STUDIES/table8.yaml --rows nll --seeds 0
    python tools/benchmark/study.py STUDIES/table8.yaml --report
"""
from __future__ import annotations

from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / 'tools/analysis_tools'))  # for plot_training

from study_plan import Run, Study, plan, read_study  # noqa: E402
from study_report import report, table  # noqa: E402
from study_runner import Runner, make_data, run_all  # noqa: E402
from study_table import Scores, read_rows  # noqa: E402

from mmvis_memcnp.cli.run import run_tool  # noqa: E402
from mmvis_memcnp.errors import UserError  # noqa: E402
from mmvis_memcnp.results.files import check_place  # noqa: E402


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('study', type=Path, help='yaml')
    parser.add_argument(
        '--report', action='store_true',
        help='train nothing; tables and plots from the csv')
    parser.add_argument(
        '--jobs', type=int, default=1,
        help='trainings at a time, one thread each unless OMP_NUM_THREADS '
        'says otherwise (default: 1)')
    parser.add_argument('--rows', nargs='+', help='of the yaml; default: all')
    parser.add_argument(
        '--seeds', type=int, nargs='+', help='of the yaml; default: all')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/studies'),
        help='gets a folder a training, which studies share where all its '
        'settings are the same (default: %(default)s)')
    parser.add_argument(
        '--data', type=Path, default=Path('data/moving_shapes'),
        help='folder of the levels, made where they are missing (default: '
        '%(default)s)')
    parser.add_argument(
        '--csv', type=Path,
        help='default: docs/benchmarks/NAME.csv of this repository')
    return parser.parse_args(argv)


def choose(study: Study, rows: list[str] | None,
           seeds: list[int] | None) -> list[Run]:
    """The runs that the command line asks for.

    Raises:
        UserError: If a row or seed is not in the yaml.
    """
    for given, known, option in ((rows, study.rows, '--rows'),
                                 (seeds, study.seeds, '--seeds')):
        wrong = [g for g in given or () if g not in known]
        if wrong:
            raise UserError(f'{option} {wrong[0]} is not in the yaml, which '
                            f'has {", ".join(map(str, known))}.')
    return [run for run in plan(study)
            if (not rows or run.row.name in rows)
            and (not seeds or run.seed in seeds)]


def main(argv: list[str] | None = None) -> int:
    """Train, test, collate; or report."""
    args = parse_args(argv)
    study = read_study(args.study)
    csv = args.csv or ROOT / f'docs/benchmarks/{study.name}.csv'
    work_dir = args.work_dir
    if args.report:
        for path in report(study, csv, work_dir):
            print(path)
        return 0
    if args.jobs < 1:
        raise UserError(f'--jobs must be at least 1, got {args.jobs}.')
    check_place(csv.parent, '--csv')
    check_place(work_dir, '--work-dir')
    runs = choose(study, args.rows, args.seeds)
    runner = Runner(study, work_dir, args.data, csv)
    # Refused before anything is trained.
    runs = [run for run in runs if runner.missing(run)]
    make_data(study, args.data)
    failed = run_all(runner, runs, args.jobs)
    print(table(study, Scores(read_rows(csv).values(), study.name)))
    for sentence in failed:
        print(f'Error: {sentence}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    run_tool(lambda: sys.exit(main()),
             stopped='the same command goes on where it was.')
