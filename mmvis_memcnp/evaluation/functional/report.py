"""The numbers that papers report, and their table."""
from collections.abc import Mapping

HEADLINE = ('AP', 'AP50', 'AP75', 'AR1', 'AR10')


def headline(stats: Mapping[str, float]) -> dict[str, float]:
    """The five numbers of the papers, in 0..1; -1 = no ground truth."""
    return {name: stats[name] for name in HEADLINE}


def format_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A text table, values times 100 with one decimal.

    Args:
        rows: ``{row name: {AP, AP50, ...}}``.

    Returns:
        One line a row under a header; "-" where there is no ground truth.
    """
    width = max([len(name) for name in rows], default=0)
    lines = [' ' * width + ''.join(f'{name:>8}' for name in HEADLINE)]
    for name, values in rows.items():
        cells = (values[k] for k in HEADLINE)
        lines.append(name.ljust(width) + ''.join(
            f'{v * 100:8.1f}' if v > -1 else f'{"-":>8}' for v in cells))
    return '\n'.join(lines)
