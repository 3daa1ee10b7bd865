"""Makes the data of a study, trains and tests its runs."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from plot_training import curve, read_log
from programs import run_program
from study_plan import (
    ROOT,
    Run,
    Study,
    first_difference,
    folder_name,
    split_level,
)
from study_table import KEYS, SCORES, add_row, locked, read_rows

from mmvis_memcnp.cli.preflight import apply_overrides
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.files import replacing

#: Folder of the programs that are run.
TOOLS = ROOT / 'tools'


# -- data -------------------------------------------------------------------
def data_folders(study: Study) -> Iterator[tuple[str, str, int, int, int]]:
    """Folder, split, videos, frames and seed of the data of a study."""
    sizes = study.sizes
    for level in study.train:
        yield level, 'train', sizes['train_videos'], sizes['train_frames'], 0
    for level in dict.fromkeys((*study.train, *study.test)):
        videos = split_level(level)[1] or sizes['val_videos']
        yield level, 'val', videos, sizes['val_frames'], 1000


def make_data(study: Study, root: Path) -> None:
    """Generate what is missing.

    Args:
        study (Study): Names levels and sizes.
        root (Path): Folder of the levels.

    Raises:
        UserError: If there is data of other sizes, or none can be written.
    """
    height, width = (int(n) for n in study.sizes['size'].split('x'))
    for level, split, videos, frames, seed in data_folders(study):
        folder = root / level / split
        if not folder.exists():
            run_program(
                TOOLS / 'dataset_converters/moving_shapes.py', folder,
                '--videos', videos, '--frames', frames,
                '--size', study.sizes['size'], '--seed', seed,
                '--level', split_level(level)[0], env=environment())
        found = json.loads((folder / 'instances.json').read_text())['videos']
        if len(found) != videos or any(
                (v['length'], v['height'], v['width']) != (
                    frames, height, width) for v in found):
            raise UserError(
                f'{folder} has not the {videos} videos of {frames} frames of '
                f'{height}x{width} that the study wants: give another --data '
                'folder, or the sizes of this one in the yaml.')


# -- runs -------------------------------------------------------------------
def environment() -> dict[str, str]:
    """That of the programs that are started: this code, one thread."""
    env = dict(os.environ)
    env.setdefault('OMP_NUM_THREADS', '1')
    env['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(ROOT), env.get('PYTHONPATH')]))
    return env


def commit() -> str:
    """Of the repository; '+' behind it if the code was changed since."""
    def git(*args: str) -> subprocess.CompletedProcess:
        return subprocess.run(['git', '-C', str(ROOT), *args],
                              capture_output=True, text=True)
    head = git('rev-parse', '--short', 'HEAD').stdout.strip()
    changed = git('status', '--porcelain', '--', 'mmvis_memcnp', 'configs',
                  'tools/train.py', 'tools/test.py').stdout
    return head + '+' * bool(changed)


class Failed(Exception):
    """A program that a run needs did not end well."""


class Runner:
    """Trains and tests the runs of a study.

    Args:
        study (Study): What to do.
        work_dir (Path): Gets a folder a run.
        data (Path): Folder of the levels.
        csv (Path): Gets the rows.
    """

    def __init__(self, study: Study, work_dir: Path, data: Path,
                 csv: Path) -> None:
        self.study, self.work_dir, self.csv = study, work_dir, csv
        self.data = data.resolve()
        self.commit = commit()
        self.stopping = False
        self._processes: set[subprocess.Popen] = set()
        self._lock = Lock()

    # -- what is there already ---------------------------------------------
    def missing(self, run: Run) -> list[str]:
        """Levels that the csv has no row of.

        Args:
            run (Run): Of the study.

        Raises:
            UserError: If the csv, or the folder of the run, is of other
                settings.
        """
        rows = read_rows(self.csv)
        for row in rows.values():
            if (row['study'], row['row'], row['trained_on']) == (
                    self.study.name, run.row.name, run.trained_on) and \
                    row['settings'] != run.digest:
                raise UserError(
                    f'The row {run.row.name} in {self.csv} was made with '
                    f'other settings ({self._change(row, run)}): give the row '
                    'another name in the yaml, or take its lines out of the '
                    'csv.')
        return [level for level in self.study.test if tuple(
            self._keys(run, level)[k] for k in KEYS) not in rows]

    def _change(self, row: dict[str, str], run: Run) -> str:
        """How the settings of a row of the csv differ from those of a run."""
        note = self.work_dir / folder_name(
            row['config'], row['trained_on'], row['settings'],
            row['seed']) / 'run.json'
        if note.is_file():
            found = first_difference(json.loads(note.read_text())['settings'],
                                     run.settings)
            if found:
                return found
        return (f'{row["config"]} {row["options"]}, {row["iters"]} '
                f'iterations, commit {row["commit"] or "unknown"}')

    def _keys(self, run: Run, level: str) -> dict[str, str]:
        return dict(study=self.study.name, row=run.row.name,
                    trained_on=run.trained_on, seed=str(run.seed),
                    level=level)

    # -- one run -----------------------------------------------------------
    def do(self, run: Run) -> str | None:
        """Train and test what is missing.

        Args:
            run (Run): Of the study.

        Returns:
            str | None: What was done, None if nothing was left to do.

        Raises:
            Failed: If a program failed.
        """
        if not self.missing(run):
            return None
        config, checkpoint, commits = self._weights(run)
        with self._alone(run) as handle:
            folder, said = self.work_dir / run.folder, []
            for level in self.missing(run):
                scores = self._score(handle, folder, config, checkpoint, level)
                add_row(self.csv, dict(
                    self._keys(run, level), config=run.row.config,
                    options=run.row.text, settings=run.digest,
                    commit='/'.join(commits), iters=run.iters,
                    schedule=run.schedule, seconds=seconds(folder / 'train'),
                    **scores), self.work_dir / 'csv.lock')
                said.append(f'{level} AP {100 * scores["AP"]:.1f}')
            return said and (
                f'{", ".join(said)} (commit {"/".join(commits)})') or None

    @contextmanager
    def _alone(self, run: Run) -> Iterator[int | None]:
        """Be the only process in the folder of a run; the lock's handle.

        Programs inherit the lock: one that outlives a killed study keeps it.
        """
        folder = self.work_dir / run.folder
        with locked(folder / 'lock', wait=False) as handle:
            if handle is None:
                print(f'{run.name}: waits for the process that works in '
                      f'{folder}', flush=True)
        with locked(folder / 'lock') as handle:
            yield handle

    def _weights(self, run: Run) -> tuple[Path, Path, list[str]]:
        """Train a run if it is not.

        Args:
            run (Run): Of the study.

        Returns:
            tuple[Path, Path, list[str]]: Its config, its weights, and the
            commits that trained it.
        """
        start = run.cfg.get('load_from')
        if run.start is not None:
            start = str(self._weights(run.start)[1].resolve())
        folder = self.work_dir / run.folder
        with self._alone(run) as handle:
            work_dir = folder / 'train'
            last = work_dir / f'iter_{run.iters}.pth'
            trained = self._trained(work_dir, last)
            config, commits = self._prepare(run, folder, start, trained)
            if not run.row.train:
                return config, Path(start), commits
            if not trained:
                self._call(handle, folder, 'train.py', config, '--work-dir',
                           work_dir, '--seed', run.seed, '--resume')
                if not self._trained(work_dir, last):
                    raise Failed(f'{run.name}: the training ended without '
                                 f'{last}.')
            return config, last, commits

    def _trained(self, work_dir: Path, last: Path) -> bool:
        note = work_dir / 'last_checkpoint'
        return last.is_file() and note.is_file() and Path(
            note.read_text().strip()).name == last.name

    def _prepare(self, run: Run, folder: Path, start: str | None,
                 trained: bool) -> tuple[Path, list[str]]:
        """The config as a file, and the commits that trained the run."""
        config, note = folder / 'config.py', folder / 'run.json'
        commits = []
        if note.is_file():
            commits = json.loads(note.read_text())['commits']
        if not trained and self.commit not in commits:
            commits.append(self.commit)
        root = f'{self.data / run.trained_on}/'
        cfg = run.cfg.copy()
        apply_overrides(cfg, {
            'train_dataloader.dataset.data_root': root,
            'val_dataloader.dataset.data_root': root,
            'val_evaluator.ann_file': f'{root}val/instances.json'})
        if start is not None:
            cfg.load_from = start
        with replacing(config) as path:
            cfg.dump(path)
        with replacing(note) as path:
            path.write_text(json.dumps(
                dict(commits=commits, settings=run.settings), indent=1))
        return config, commits

    def _score(self, handle: int | None, folder: Path, config: Path,
               checkpoint: Path, level: str) -> dict[str, float]:
        """Test a trained model on one level."""
        truth = self.data / level / 'val/instances.json'
        results = folder / f'{level}.json'
        if not results.exists():
            self._call(handle, folder, 'test.py', config, checkpoint,
                       '--work-dir', folder / 'test', '--ann-file', truth,
                       '--out', results, '--cfg-options',
                       'test_dataloader.dataset.data_root=',
                       'test_dataloader.dataset.data_prefix.img_path='
                       f'{truth.parent / "JPEGImages"}')
        printed = self._call(
            handle, folder, 'analysis_tools/eval_json.py', truth, results,
            '--json')
        # Warnings may follow the object.
        scores: dict[str, Any] = json.loads(next(
            line for line in reversed(printed.splitlines())
            if line.startswith('{')))
        scores['IDF1'] = scores['boxes']['IDF1']
        scores['id_switches'] = scores['boxes']['switches']
        return {name: round(float(scores[name]), 4) for name in SCORES}

    def _call(self, handle: int | None, folder: Path, tool: str,
              *args: Any) -> str:
        """Run a tool; what it printed, which the log gets too."""
        log = folder / 'log.txt'
        begin = log.stat().st_size if log.exists() else 0
        with open(log, 'a') as file:
            with self._lock:
                if self.stopping:
                    raise Failed('stopped')
                process = subprocess.Popen(
                    [sys.executable, str(TOOLS / tool), *map(str, args)],
                    stdin=subprocess.DEVNULL, stdout=file,
                    stderr=subprocess.STDOUT, env=environment(),
                    pass_fds=() if handle is None else (handle, ))
                self._processes.add(process)
            process.wait()
            self._processes.discard(process)
        with open(log, 'rb') as file:
            file.seek(begin)
            printed = file.read().decode(errors='replace')
        if process.returncode:
            last = (printed.strip().splitlines() or [''])[-1][:300]
            raise Failed(f'{folder.name}: {tool} ended with '
                         f'{process.returncode} ({last}); see {log}')
        return printed

    def stop(self) -> None:
        """End the programs that run; none is started any more."""
        with self._lock:
            self.stopping = True
            processes = list(self._processes)
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def seconds(work_dir: Path) -> str:
    """Time of all iterations of a training, from its log; '' without one.

    Time of sessions that were killed counts as far as it led to a checkpoint.
    """
    try:
        records = [r for r in read_log(work_dir) if 'loss' in r]
    except FileNotFoundError:
        return ''
    steps, times = curve(records, 'time')
    spent = (t * (step - before) for step, before, t in zip(
        steps, [0, *steps], times, strict=False))
    return f'{sum(spent):.0f}'


def run_all(runner: Runner, runs: list[Run], jobs: int) -> list[str]:
    """Do all runs, some at a time; the sentences of those that failed."""
    failed = []
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(runner.do, run): run for run in runs}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                name = futures[future].name
                try:
                    said = future.result() or 'is in the csv'
                except (Failed, UserError) as error:
                    failed.append(str(error))
                    said = f'FAILED: {error}'
                print(f'{number}/{len(runs)} {name}: {said}', flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
            raise
    return failed
