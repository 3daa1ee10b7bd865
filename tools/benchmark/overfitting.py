"""Learning a few clips by heart: what the over-fitting checks share.

Everything is said to ``tools/train.py`` and ``tools/test.py`` by
``--cfg-options``, so that any config of one training set will do.
"""
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from programs import run_program

from mmvis_memcnp.errors import UserError
from mmvis_memcnp.evaluation.functional import AnnotationFile

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
#: Iterations of warm-up in ``configs/_base_/schedules/small_cpu.py``.
WARM_UP = 200


class Outcome(NamedTuple):
    """Scores in [0, 1] on the clips that were learnt, and the time it took."""
    ap: float
    ap50: float
    minutes: float

    def __str__(self) -> str:
        return (f'AP {self.ap:.3f}, AP50 {self.ap50:.3f}, trained for '
                f'{self.minutes:.1f} minutes')


def data_options(annotations: Path, frames: Path) -> list[str]:
    """``--cfg-options`` that make one json the data of every loader.

    Args:
        annotations: YouTube-VIS style json.
        frames: folder of its frames.
    """
    annotations, frames = annotations.resolve(), frames.resolve()
    categories = AnnotationFile.load(annotations).categories
    classes = tuple(categories[i] for i in sorted(categories))
    options = [f'test_evaluator.ann_file={annotations}',
               f'val_evaluator.ann_file={annotations}']
    for loader in ('train', 'val', 'test'):
        dataset = f'{loader}_dataloader.dataset'
        options += [
            f'{dataset}.data_root=', f'{dataset}.ann_file={annotations}',
            f'{dataset}.data_prefix.img_path={frames}',
            f'{dataset}.metainfo.classes={classes!r}'
        ]
    return options


def schedule_options(iters: int) -> list[str]:
    """``--cfg-options`` for a shorter ``small_cpu.py``, never validated.

    Args:
        iters: at least 2; a fifth of them warm up, if they are few.

    Raises:
        UserError: if there is no iteration left after the warm-up.
    """
    if iters < 2:
        raise UserError(f'{iters} iterations are no training: take 2 at '
                        'least.')
    warm = max(1, min(WARM_UP, iters // 5))
    return [
        f'train_cfg.max_iters={iters}', f'train_cfg.val_interval={iters + 1}',
        f'param_scheduler.0.end={warm}', f'param_scheduler.1.begin={warm}',
        f'param_scheduler.1.end={iters}'
    ]


def overfit(config: Path, annotations: Path, frames: Path, work_dir: Path,
            seed: int, iters: int | None = None,
            batch_size: int | None = None,
            overwrite: bool = False) -> Outcome:
    """Train a config on some clips alone and score it on the same clips.

    Args:
        config: with the schedule ``small_cpu.py``.
        annotations: YouTube-VIS style json of the clips.
        frames: folder of their frames.
        work_dir: for logs, checkpoints and results.
        seed: of everything random.
        iters: instead of the config's.
        batch_size: of the training, instead of the config's.
        overwrite: replace what an earlier run left in ``work_dir``.

    Raises:
        UserError: if a tool fails, or there are too few iterations.
    """
    options = data_options(annotations, frames)
    schedule = [] if iters is None else schedule_options(iters)
    if batch_size is not None:
        schedule.append(f'train_dataloader.batch_size={batch_size}')
    again = ['--overwrite'] if overwrite else []
    start = time.time()
    run_program(TOOLS / 'train.py', config, '--work-dir', work_dir,
                *again, '--seed', seed, '--cfg-options', *options, *schedule)
    minutes = (time.time() - start) / 60
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    results = work_dir / 'results.json'
    run_program(TOOLS / 'test.py', config, checkpoint, '--work-dir',
                work_dir / 'test', *again, '--out', results, '--cfg-options',
                *options)
    printed = subprocess.run([
        sys.executable, TOOLS / 'analysis_tools/eval_json.py',
        annotations, results, '--json'
    ], check=True, capture_output=True, text=True).stdout
    scores = json.loads(printed.strip().splitlines()[-1])
    return Outcome(scores['AP'], scores['AP50'], minutes)
