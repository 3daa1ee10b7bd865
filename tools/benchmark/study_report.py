"""Tables and plots of a study, from its csv."""
from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plot_training import curve, read_log
from study_plan import Study, folder_name
from study_table import Scores, read_rows, spread

from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.files import check_place, replacing

SHOWN = ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'IDF1', 'id_switches')
PLOTTED = ('AP', 'AP50', 'AP75', 'IDF1')
#: First line of a table: such a file may be replaced.
MARK = '<!-- Made by tools/benchmark/study.py --report from '


def _number(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.1f}'


def table(study: Study, scores: Scores) -> str:
    """Mean and deviation of every row; differences to the baselines.

    Args:
        study (Study): Order of the rows, and baselines.
        scores (Scores): What was measured.

    Returns:
        str: Markdown, two tables for each pair of levels.
    """
    parts = []
    for group in scores.groups():
        parts.append(f'Trained on {group[0]}, tested on {group[1]}: mean ± '
                     'standard deviation over the seeds, in points.\n')
        parts += _lines(
            ['row', 'seeds', *SHOWN],
            [[name, str(len(scores.seeds(name, group, 'AP'))),
              *(_mean(scores.seeds(name, group, score)) for score in SHOWN)]
             for name in study.rows if scores.seeds(name, group, 'AP')])
        compared = list(_differences(study, scores, group))
        if compared:
            parts.append('Differences of runs of the same seed, with the 95 % '
                         'interval of their mean (Student\'s t).\n')
            parts += _lines(['row', 'minus', 'seeds', *SHOWN], compared)
    return '\n'.join(parts)


def _lines(head: list[str], rows: list[list[str]]) -> list[str]:
    marks = ['---'] * len(head)
    return [*(f'| {" | ".join(row)} |' for row in (head, marks, *rows)), '']


def _mean(values: dict[int, float]) -> str:
    found = spread(list(values.values()))
    return f'{found.mean:.1f} ± {_number(found.deviation)}'


def _differences(study: Study, scores: Scores,
                 group: tuple[str, str]) -> Iterator[list[str]]:
    for name, row in study.rows.items():
        if row.baseline is None:
            continue
        found = [scores.differences(name, row.baseline, group, score)
                 for score in SHOWN]
        if found[0]:
            yield [name, row.baseline, str(len(found[0])),
                   *(_interval(values) for values in found)]


def _interval(values: dict[int, float]) -> str:
    found = spread(list(values.values()))
    if found.count < 2:
        return f'{found.mean:+.1f}'
    return (f'{found.mean:+.1f} [{found.mean - found.half:+.1f}, '
            f'{found.mean + found.half:+.1f}]')


def _sources(study: Study, scores: Scores) -> str:
    """Configs, options and commits of the rows."""
    lines = []
    for name in study.rows:
        if not scores.values(name, 'row'):
            continue
        config, options, commits, iters, schedule = (
            scores.values(name, key) for key in (
                'config', 'options', 'commit', 'iters', 'schedule'))
        length = ', '.join(iters)
        if iters != schedule:
            length += f' of {", ".join(schedule)}'
        lines.append([name, *(
            ', '.join(f'`{v}`' for v in values if v) for values in (
                config, options)), length, ', '.join(commits)])
    return '\n'.join(_lines(
        ['row', 'config', 'options', 'iterations', 'commit'], lines))


def report(study: Study, csv: Path, work_dir: Path) -> list[Path]:
    """Write tables and plots beside the csv.

    Args:
        study (Study): Order of the rows, and baselines.
        csv (Path): The rows.
        work_dir (Path): Folders of the runs, for the curves; may be missing.

    Returns:
        list[Path]: The files.

    Raises:
        UserError: If the csv has no row of the study, or a file of the name
            of the table was not made here.
    """
    scores = Scores(read_rows(csv).values(), study.name)
    if not any(scores.values(name, 'row') for name in study.rows):
        raise UserError(f'{csv} has no row of the study {study.name}: run it '
                        'first, without --report.')
    text, picture, curves = (
        csv.with_name(f'{study.name}{end}')
        for end in ('.md', '.png', '_curves.png'))
    if text.exists() and not text.read_text().startswith(MARK):
        raise UserError(f'{text} was not made by a report and is left as it '
                        'is: move it, or rename the study.')
    check_place(csv.parent, '--csv')
    made = [text, picture]
    _save(plot(study, scores), picture)
    figure = plot_curves(study, scores, work_dir)
    if figure is not None:
        _save(figure, curves)
        made.append(curves)
    shown = [p.name for p in (picture, curves) if p.exists()]
    with replacing(text) as path:
        path.write_text('\n'.join([
            f'{MARK}{csv.name} -->', f'# {study.name}', '',
            table(study, scores), _sources(study, scores),
            *(f'![{name}]({name})' for name in shown), '']))
    return made


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as name:
        figure.savefig(name, dpi=110)


def plot(study: Study, scores: Scores) -> Figure:
    """Every seed a point, the mean a bar; last, AP minus the baseline.

    Args:
        study (Study): Order of the rows, and baselines.
        scores (Scores): What was measured.
    """
    groups = scores.groups()
    names = [n for n in study.rows if scores.values(n, 'row')]
    figure = Figure(figsize=(3.1 * (len(PLOTTED) + 1),
                             (1.2 + .36 * len(names)) * len(groups)))
    grid = figure.subplots(len(groups), len(PLOTTED) + 1, squeeze=False)
    for line, group in zip(grid, groups, strict=True):
        for axis, score in zip(line, PLOTTED, strict=False):
            for place, name in enumerate(names):
                _points(axis, place, scores.seeds(name, group, score), False)
            axis.set_title(f'{score}, {group[1]}', fontsize=9)
        for place, name in enumerate(names):
            baseline = study.rows[name].baseline
            if baseline:
                _points(line[-1], place, scores.differences(
                    name, baseline, group, 'AP'), True)
        line[-1].axvline(0, color='black', linewidth=.8)
        line[-1].set_title('AP minus baseline, 95 %', fontsize=9)
        for number, axis in enumerate(line):
            axis.set_yticks(range(len(names)), labels=names if not number
                            else [''] * len(names), fontsize=8)
            axis.set_ylim(len(names) - .5, -.5)
            axis.tick_params(axis='x', labelsize=8)
            axis.grid(axis='x', alpha=.3)
    figure.tight_layout()
    return figure


def _points(axis: Axes, place: int, values: dict[int, float],
            interval: bool) -> None:
    if not values:
        return
    found = spread(list(values.values()))
    axis.plot(list(values.values()), [place] * len(values), 'o',
              color=f'C{place % 10}', alpha=.6, markersize=4)
    axis.plot([found.mean] * 2, [place - .3, place + .3],
              color=f'C{place % 10}', linewidth=2)
    if interval and found.count > 1:
        axis.plot([found.mean - found.half, found.mean + found.half],
                  [place] * 2, color=f'C{place % 10}', linewidth=1)


def plot_curves(study: Study, scores: Scores,
                work_dir: Path) -> Figure | None:
    """Loss, and AP where it was validated, of the runs that are there.

    Args:
        study (Study): What to draw.
        scores (Scores): Name the folders.
        work_dir (Path): Folders of the runs.

    Returns:
        Figure | None: A thin line a seed and a thick one for their mean; None
        if no run has a log here.
    """
    found: dict[str, list[list[dict]]] = {}
    trainings = {  # one line a test level in the csv
        (r['row'], r['trained_on'], r['seed']): r for r in scores.rows
        if r['row'] in study.rows}
    for (name, level, seed), row in trainings.items():
        folder = folder_name(row['config'], level, row['settings'], seed)
        if len(study.train) > 1:
            name += f', {level}'
        with suppress(FileNotFoundError):
            log = read_log(work_dir / folder / 'train')
            found.setdefault(name, []).append(log)
    if not found:
        return None
    figure = Figure(figsize=(10, 4))
    axes = figure.subplots(1, 2)
    for number, (name, logs) in enumerate(found.items()):
        for axis, score, mark in zip(axes, ('loss', 'AP'), ('', 'o'),
                                     strict=True):
            lines = [dict(zip(*curve(log, score), strict=True))
                     for log in logs]
            colour = f'C{number % 10}'
            for line in lines:
                axis.plot(list(line), list(line.values()), color=colour,
                          alpha=.35, linewidth=.7)
            shared = sorted(set.intersection(*map(set, lines)))
            axis.plot(shared, [np.mean([line[s] for line in lines])
                               for s in shared], mark + '-', color=colour,
                      label=name)
    axes[0].set_yscale('log')
    for axis, what in zip(axes, ('loss', 'AP while training'), strict=True):
        axis.set_title(what, fontsize=9)
        axis.set_xlabel('iteration')
        axis.grid(alpha=.3)
    if not axes[1].lines or not any(len(x.get_xdata())
                                    for x in axes[1].lines):
        axes[1].text(.5, .5, 'not validated while training', ha='center',
                     transform=axes[1].transAxes)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    return figure
