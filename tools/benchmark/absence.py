"""Whether objects that were away get their identity back, model by model.

Makes videos of the level "absence" of MovingShapes (one of each pair of
look-alikes leaves for 15 frames and more, and comes back while the other one
is there), tests every model on them, prints a row a model and puts it into a
csv; rows of other models stay. A row holds

identity_recall: of the frames after a return in which an object can be seen,
    the share in which it has the identity that it had before;
detection_recall: in which it has any identity, the most that the former can
    be;
returns_recalled: share of the returns after which an object has its identity
    in most frames.

Models are given one by one, or are the trained rows of a study (study.py).

Examples:

    python tools/benchmark/absence.py --study \\
        tools/benchmark/studies/mask2former_hard.yaml --rows o2vis-1 o2vis-7
    python tools/benchmark/absence.py --model o2vis \\
        configs/o2vis/o2vis_r18_movingshapes.py work_dirs/o2vis/iter_1500.pth
"""
from __future__ import annotations

from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / 'tools/analysis_tools'))  # for plot_training

import study_runner  # noqa: E402
from study_plan import plan, read_study  # noqa: E402

from mmvis_memcnp.cli.numbers import share  # noqa: E402
from mmvis_memcnp.cli.run import run_tool  # noqa: E402
from mmvis_memcnp.datasets.moving_shapes.generate import generate  # noqa: E402
from mmvis_memcnp.errors import UserError  # noqa: E402
from mmvis_memcnp.evaluation.functional import (  # noqa: E402
    AbsenceCounts,
    AnnotationFile,
    count_absences,
    format_table,
    group_by_video,
    measure_video,
    read_results,
)
from mmvis_memcnp.results.files import check_place, replacing  # noqa: E402
from mmvis_memcnp.results.ownership import check_file, new_file  # noqa: E402

SCORES = ('identity_recall', 'detection_recall', 'returns_recalled')
#: The same and the number of returns, in the printed table.
SHOWN = ('identity', 'detected', 'recalled', 'returns')
COUNTS = ('returns', 'held', 'recalled', 'frames', 'found', 'same')
KEYS = ('model', 'seed', 'videos', 'length', 'data_seed', 'min_frames',
        'score_thr')
COLUMNS = (*KEYS, 'config', 'checkpoint', *SCORES, *COUNTS)
SIZE = (128, 192)


class Model(NamedTuple):
    """What is tested.

    Attributes:
        name: Of the row.
        seed: Of its training; '' where it is not known.
        config: A file.
        checkpoint: A file.
    """
    name: str
    seed: str
    config: Path
    checkpoint: Path


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--model', nargs=3, action='append', default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'), help='may be given again')
    parser.add_argument('--study', type=Path, help='yaml of study.py')
    parser.add_argument('--rows', nargs='+', help='of the yaml; default: all')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/studies'),
        help='of the study (default: %(default)s)')
    parser.add_argument('--videos', type=int, default=24,
                        help='that are made (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=48,
                        help='of a video (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=3000,
                        help='of the videos (default: %(default)s)')
    parser.add_argument(
        '--min-frames', type=int, default=15,
        help='for which an object is away (default: %(default)s)')
    parser.add_argument(
        '--score-thr', type=share, default=0.,
        help='tracks that score less are left out (default: %(default)s: '
        'recalls take all that a config returns)')
    parser.add_argument(
        '--data', type=Path, default=Path('data/moving_shapes/absence'),
        help='folder of the videos, a folder each size (default: %(default)s)')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/absence'),
        help='gets the tracks and the log of each model (default: '
        '%(default)s)')
    parser.add_argument(
        '--csv', type=Path, default=ROOT / 'docs/benchmarks/absence.csv',
        help='default: docs/benchmarks/absence.csv of this repository')
    args = parser.parse_args(argv)
    if args.rows and args.study is None:
        parser.error('--rows are of a --study: give its yaml.')
    if not args.model and args.study is None:
        parser.error('give --model or --study.')
    if args.min_frames < 1:
        parser.error('--min-frames must be at least 1.')
    return args


def models(args: argparse.Namespace) -> Iterator[Model]:
    """The models of the command line.

    Args:
        args (argparse.Namespace): From :func:`parse_args`.

    Raises:
        UserError: If a row or a file does not exist.
    """
    for name, config, checkpoint in args.model:
        yield Model(name, '', Path(config), Path(checkpoint))
    if args.study is None:
        return
    study = read_study(args.study)
    wrong = [row for row in args.rows or () if row not in study.rows]
    if wrong:
        raise UserError(f'--rows {wrong[0]} is not in the yaml, which has '
                        f'{", ".join(study.rows)}.')
    for run in plan(study):
        if args.rows and run.row.name not in args.rows:
            continue
        config = args.work_dir / run.folder / 'config.py'
        checkpoint = config.parent / f'train/iter_{run.iters}.pth'
        if not run.row.train and config.is_file():
            checkpoint = Path(Config.fromfile(config).load_from)
        name = run.row.name
        if len(study.train) > 1:
            name += f', {run.trained_on}'
        yield Model(name, str(run.seed), config, checkpoint)


def make_videos(args: argparse.Namespace) -> Path:
    """Generate the videos if they are not there; their json."""
    folder = args.data / f'{args.videos}x{args.frames}_s{args.seed}'
    if not (folder / 'instances.json').is_file():
        generate(folder, args.videos, args.frames, SIZE, args.seed, 'absence')
    return folder / 'instances.json'


def test(model: Model, truth: Path, out: Path) -> Path:
    """Let a model find the tracks of the videos; their json.

    Args:
        model (Model): What is tested.
        truth (Path): Of :func:`make_videos`.
        out (Path): Folder of results and logs.
    """
    name = _file_name(model)
    results, log = out / f'{name}.json', out / f'{name}.log'
    with new_file(log, overwrite=True, option='--out') as unfinished, open(
            unfinished, 'w') as file:
        done = subprocess.run(
            [sys.executable, str(study_runner.TOOLS / 'test.py'),
             str(model.config), str(model.checkpoint), '--work-dir',
             str(out / f'{name}_test'),
             '--ann-file', str(truth), '--out', str(results), '--overwrite',
             '--cfg-options', 'test_dataloader.dataset.data_root=',
             'test_dataloader.dataset.data_prefix.img_path='
             f'{truth.parent.resolve() / "JPEGImages"}'],
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            env=study_runner.environment())
    if done.returncode:
        last = (log.read_text(errors='replace').strip().splitlines()
                or [''])[-1]
        raise UserError(f'{model.name}: test.py ended with {done.returncode} '
                        f'({last[:300]}); see {log}.')
    return results


def count(truth: Path, results: Path, min_frames: int,
          score_thr: float) -> AbsenceCounts:
    """Look at all objects that were away.

    Args:
        truth (Path): Json with annotations.
        results (Path): Json of tracks.
        min_frames (int): See :func:`count_absences`.
        score_thr (float): Tracks that score less are left out.
    """
    gt = AnnotationFile.load(truth, check_masks=False)
    tracks = group_by_video(read_results(results, check_masks=False))
    counts = AbsenceCounts()
    for video in gt.videos:
        found = [t for t in tracks.get(video, []) if t.score >= score_thr]
        overlaps = measure_video(
            found, [t for t in gt.tracks(video) if not t.crowd],
            gt.size(video), same_category=False, by_frame=True)
        counts += count_absences(overlaps.similarity(), overlaps.gt_areas > 0,
                                 overlaps.areas > 0, min_frames)
    return counts


def add_row(path: Path, row: Mapping[str, object]) -> None:
    """Put one row into the csv, in place of that of the same model and data.

    Args:
        path (Path): Made if needed.
        row (Mapping): Value of each of :data:`COLUMNS`.

    Raises:
        UserError: If the file is another table.
    """
    rows: list[Mapping[str, str]] = []
    if path.exists():
        with open(path, newline='') as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise UserError(f'{path} is no table of absences and is left '
                                'as it is: give --csv another name.')
            rows = list(reader)
    text = {name: str(row[name]) for name in COLUMNS}
    kept = {tuple(r[k] for k in KEYS): r for r in (*rows, text)}
    with replacing(path) as name, open(name, 'w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(kept.values())


def main(argv: list[str] | None = None) -> dict[str, AbsenceCounts]:
    """Test every model; what was counted, by name."""
    args = parse_args(argv)
    check_place(args.csv.parent, '--csv')
    check_place(args.out, '--out')
    chosen = list(models(args))
    for model in chosen:
        for path in (model.config, model.checkpoint):
            if not path.is_file():
                raise UserError(f'{model.name}: there is no {path}; a row of '
                                'a study is trained by study.py first.')
        check_file(args.out / f'{_file_name(model)}.log', '--out', True)
    truth = make_videos(args)
    found = {}
    for model in chosen:
        counts = count(truth, test(model, truth, args.out), args.min_frames,
                       args.score_thr)
        if not counts.returns:
            raise UserError(f'No object of {truth} is away for '
                            f'{args.min_frames} frames and comes back: make '
                            'longer videos.')
        scores = counts.scores()
        add_row(args.csv, dict(
            model=model.name, seed=model.seed, videos=args.videos,
            length=args.frames, data_seed=args.seed,
            min_frames=args.min_frames, score_thr=args.score_thr,
            config=_short(model.config), checkpoint=_short(model.checkpoint),
            **{k: round(scores[k], 4) for k in SCORES},
            **{k: getattr(counts, k) for k in COUNTS}))
        name = f'{model.name}, seed {model.seed}'.removesuffix(', seed ')
        found[name] = counts
        print(f'{name}: {scores["identity_recall"]:.3f}', flush=True)
    print(format_table({
        name: dict(zip(SHOWN, [*counts.scores().values(), counts.returns],
                       strict=True)) for name, counts in found.items()},
        SHOWN, SHOWN[-1:]))
    return found


def _file_name(model: Model) -> str:
    """Of its files, without the suffix."""
    return f'{model.name}_s{model.seed}' if model.seed else model.name


def _short(path: Path) -> str:
    """From the repository's root where it lies in it."""
    path = path.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == '__main__':
    run_tool(main, 'models that were measured are in the csv.')
