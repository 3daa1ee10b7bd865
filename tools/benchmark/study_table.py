"""The csv of a study: a row a run and test level; means and differences."""
from __future__ import annotations

import csv
import fcntl
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from scipy.special import stdtrit

from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.files import replacing

#: What a row of the csv is of.
KEYS = ('study', 'row', 'trained_on', 'seed', 'level')
SCORES = ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'IDF1', 'id_switches')
COLUMNS = ('study', 'row', 'config', 'options', 'settings', 'commit',
           'trained_on', 'seed', 'iters', 'schedule', 'level', *SCORES,
           'seconds')
#: Scores from 0 to 1, which tables show in points.
POINTS = SCORES[:-1]

Key = tuple[str, ...]
Rows = dict[Key, dict[str, str]]


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[int | None]:
    """Be the only process in the block, also after another one was killed.

    Args:
        path (Path): Of a file that is made and stays.
        wait (bool): Whether to wait for the one that is. Defaults to True.

    Yields:
        int | None: The descriptor that holds the lock: programs that are
        started with it hold the lock, too. None if another process does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    assert handle is not None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait
                                                 else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
            return
        yield handle
    finally:
        os.close(handle)


def read_rows(path: Path) -> Rows:
    """All rows of a csv; none if it does not exist.

    Args:
        path (Path): The csv.

    Raises:
        UserError: If it is not one of a study.
    """
    if not path.exists():
        return {}
    with open(path, newline='') as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f'{path} is no table of a study and is left as it '
                            'is: give --csv another name.')
        return {tuple(row[k] for k in KEYS): row for row in reader}


def add_row(path: Path, row: Mapping[str, object], lock: Path) -> None:
    """Put one row into a csv; all others stay.

    Args:
        path (Path): The csv, made if needed.
        row (Mapping): Value of each of :data:`COLUMNS`.
        lock (Path): A file by which writers wait for each other.
    """
    text = {name: str(row[name]) for name in COLUMNS}
    with locked(lock):
        rows = read_rows(path)
        rows[tuple(text[k] for k in KEYS)] = text
        with replacing(path) as name, open(name, 'w', newline='') as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(rows[key] for key in sorted(rows, key=_place))


def _place(key: Key) -> tuple:
    """Seeds by number, the rest by name."""
    return tuple((int(k) if k.isdigit() else -1, k) for k in key)


class Spread(NamedTuple):
    """Numbers of several seeds.

    Attributes:
        mean (float): Of all.
        deviation (float): Standard deviation of the sample; NaN of one.
        half (float): Half of the 95 % interval of the mean by Student's t,
            n - 1 degrees of freedom; NaN of one.
        count (int): How many.
    """
    mean: float
    deviation: float
    half: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Mean, deviation and interval.

    Args:
        values (Sequence[float]): At least one.
    """
    count, mean = len(values), statistics.mean(values)
    if count < 2:
        return Spread(mean, math.nan, math.nan, count)
    deviation = statistics.stdev(values)
    half = float(stdtrit(count - 1, .975)) * deviation / math.sqrt(count)
    return Spread(mean, deviation, half, count)


class Scores:
    """The scores of one study, by row, level and seed.

    Args:
        rows (Iterable): Of :func:`read_rows`.
        study (str): Name of the study; rows of others are passed over.
    """

    def __init__(self, rows: Iterable[Mapping[str, str]], study: str) -> None:
        self.rows = [row for row in rows if row['study'] == study]

    def groups(self) -> list[tuple[str, str]]:
        """Level that was trained on and level of the test, of all rows."""
        return sorted({(r['trained_on'], r['level']) for r in self.rows})

    def seeds(self, row: str, group: tuple[str, str],
              score: str) -> dict[int, float]:
        """A score of every seed, in points but for the identity switches.

        Args:
            row (str): Name of the row.
            group (tuple[str, str]): Of :meth:`groups`.
            score (str): Of :data:`SCORES`.
        """
        scale = 100. if score in POINTS else 1.
        return {
            int(r['seed']): scale * float(r[score]) for r in self.rows
            if (r['row'], r['trained_on'], r['level']) == (row, *group)
        }

    def differences(self, row: str, baseline: str, group: tuple[str, str],
                    score: str) -> dict[int, float]:
        """Row minus baseline of every seed that both have.

        Args:
            row (str): Name of the row.
            baseline (str): Name of the row to compare with.
            group (tuple[str, str]): Of :meth:`groups`.
            score (str): Of :data:`SCORES`.
        """
        ours, theirs = (self.seeds(name, group, score)
                        for name in (row, baseline))
        return {s: ours[s] - theirs[s] for s in ours if s in theirs}

    def values(self, row: str, column: str) -> list[str]:
        """The different values of a column in a row of the table."""
        return sorted({r[column] for r in self.rows if r['row'] == row})
