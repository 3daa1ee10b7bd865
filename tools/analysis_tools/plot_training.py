"""Curves of trainings: total loss, and a score on the validation videos.

Reads what ``tools/train.py`` wrote into its work directories; a training that
was stopped and resumed is drawn as one.

Example:

    python tools/analysis_tools/plot_training.py work_dirs/idol \
        work_dirs/mine --out curves.png
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import sys
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.json_rules import is_number
from mmvis_memcnp.results.ownership import check_file, new_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', type=Path, nargs='+')
    parser.add_argument('--out', type=Path, default=Path('training.png'))
    add_overwrite_option(parser)
    parser.add_argument('--score', default='AP')
    parser.add_argument(
        '--names', nargs='+', help='default: names of the directories')
    return parser.parse_args()


def read_log(work_dir: Path) -> list[dict]:
    """Records of all runs into a work directory, oldest first.

    Args:
        work_dir: where ``tools/train.py`` wrote to.

    Raises:
        FileNotFoundError: if there is no log.
        UserError: if a line of one is damaged.
    """
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'{work_dir} holds no */vis_data/scalars.json: is it the work '
            'directory of a training?')
    records = []
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:  # no json, or no text
                record = None
            if not isinstance(record, dict) or not is_number(
                    record.get('step')):
                raise UserError(
                    f'{file}: line {number} is no record of a training, '
                    'which a stopped one may have left: take it out.')
            records.append(record)
    return records


def curve(records: list[dict], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one scalar; a step written twice counts once.

    Validation records follow the iteration that they come after; their own
    step may be a number of epochs.
    """
    # A resumed run repeats the steps since its checkpoint.
    values, last = {}, 0
    for record in records:
        last = record['step'] if 'loss' in record else last
        if name in record:
            values[last] = record[name]
    steps = sorted(values)
    return steps, [values[step] for step in steps]


def main() -> None:
    """Draw."""
    args = parse_args()
    names = args.names or [path.name for path in args.work_dirs]
    if len(names) != len(args.work_dirs):
        sys.exit(f'{len(names)} names for {len(args.work_dirs)} directories: '
                 'give one each.')
    check_file(args.out, '--out', args.overwrite)
    figure = Figure(figsize=(10, 3.6))
    known = FigureCanvasBase(figure).get_supported_filetypes()
    if args.out.suffix[1:].lower() not in known:
        sys.exit(f'{args.out} cannot be drawn: give --out the suffix .png, '
                 '.pdf or .svg.')
    axes = figure.subplots(1, 2)
    for path, name in zip(args.work_dirs, names, strict=True):
        try:
            records = read_log(path)
        except FileNotFoundError as error:
            sys.exit(str(error))
        axes[0].plot(*curve(records, 'loss'), label=name, linewidth=1)
        axes[1].plot(*curve(records, args.score), label=name, marker='o')
    axes[0].set_yscale('log')
    axes[0].set_ylabel('loss')
    axes[1].set_ylabel(args.score)
    axes[1].set_ylim(bottom=0)
    for axis in axes:
        axis.set_xlabel('iteration')
        axis.grid(alpha=.3)
    axes[1].legend()
    figure.tight_layout()
    with new_file(args.out, args.overwrite, '--out') as name:
        figure.savefig(name, dpi=110)
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
