"""The numbers that papers report, and their table."""
from collections.abc import Mapping, Sequence

HEADLINE = ('AP', 'AP50', 'AP75', 'AR1', 'AR10')


def headline(stats: Mapping[str, float]) -> dict[str, float]:
    """The five numbers of the papers, in 0..1; -1 = no ground truth."""
    return {name: stats[name] for name in HEADLINE}


def format_table(rows: Mapping[str, Mapping[str, float]],
                 columns: Sequence[str] = HEADLINE,
                 counts: Sequence[str] = ()) -> str:
    """A text table, values times 100 with one decimal.

    Args:
        rows: ``{row name: {AP, AP50, ...}}``.
        columns: what to show of them.
        counts: columns of whole numbers, shown as they are.

    Returns:
        One line a row under a header; "-" where there is no ground truth (-1
        of an AP or AR, or NaN).
    """
    width = max([len(name) for name in rows], default=0)
    lines = [' ' * width + ''.join(f'{name:>9}' if len(name) > 7 else
                                   f'{name:>8}' for name in columns)]
    for name, values in rows.items():
        cells = []
        for column in columns:
            value, size = values[column], 9 if len(column) > 7 else 8
            absent = value != value or (
                value == -1 and column.startswith(('AP', 'AR')))
            cells.append('-'.rjust(size) if absent else
                         f'{value:{size}.0f}' if column in counts else
                         f'{value * 100:{size}.1f}')
        lines.append(name.ljust(width) + ''.join(cells))
    return '\n'.join(lines)
