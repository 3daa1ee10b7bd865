"""soak_session.py for every system that follows a video while it runs.

Prints a row of a table a system, as soon as it is measured, and exits 1 if one
of them grew too much. Weights are random where none are given; the thresholds
of the table below let them find something.

Examples:

    python tools/benchmark/soak_systems.py --frames 2000 --small
    python tools/benchmark/soak_systems.py o2vis ifr --frames 50 500 \
        --weights o2vis=o2vis.pth ifr=ifr.pth
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SHAPES = '_movingshapes.py'
_IDOL = ('model.score_thr=0.005 model.tracker.init_score_thr=0.005 '
         'model.tracker.new_score_thr=0.005')
_WINDOWS = ('model.window.type=ClipMatching model.window.length=5 '
            'model.window.match_thr=0.05 model.top_k=20')
#: Config below configs/, and options of it.
SYSTEMS = {
    'sipmask': ('sipmask/sipmask_r18', ''),
    'sipmask-memcnp': ('sipmask/sipmask-memcnp_r18', ''),
    'idol': ('idol/idol_r18', _IDOL),
    'idol-memcnp': ('idol/idol-memcnp_r18', _IDOL),
    'instanceformer': ('instanceformer/instanceformer_r18', ''),
    'minvis': ('minvis/minvis_r18', ''),
    'ctvis': ('ctvis/ctvis_r18', ''),
    'dvis-daq': ('dvis_daq/dvis-daq_r18', ''),
    'dvis-daq-memcnp': ('dvis_daq/dvis-daq-memcnp_r18', ''),
    'o2vis': ('o2vis/o2vis_r18', ''),
    'seqformer': ('seqformer/seqformer_r18', _WINDOWS),
    'seqformer-memcnp': ('seqformer/seqformer-memcnp_r18', _WINDOWS),
    'mask2former-vis': ('mask2former_vis/mask2former-vis_r18', _WINDOWS),
    'ifr': ('ifr/ifr_r18', _WINDOWS),
    'videomt': ('videomt/videomt_vit-t', ''),
    'videomt-memcnp': ('videomt/videomt-memcnp_vit-t', ''),
    'eomt': ('videomt/eomt_vit-t', ''),
}
#: Option for small frames.
SMALL = 'test_dataloader.dataset.pipeline.0.transforms.1.scale=(96,64)'
SOAK = ROOT / 'tools/benchmark/soak_session.py'
LIMITS = 1  # exit status of a soak that was measured and grew too much


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('systems', nargs='*', metavar='SYSTEM',
                        help=f'of {", ".join(SYSTEMS)} (default: all)')
    parser.add_argument('--frames', type=int, nargs='+', default=[2000],
                        metavar='N', help='see soak_session.py (default: '
                        '2000); two lengths compare two videos')
    parser.add_argument('--weights', nargs='+', default=[],
                        metavar='SYSTEM=FILE', help='checkpoints')
    parser.add_argument('--small', action='store_true', help='frames of 64x96 '
                        'pixels, also in the network, for long videos')
    parser.add_argument('--device', default='auto')
    args = parser.parse_args(argv)
    args.weights = dict(pair.partition('=')[::2] for pair in args.weights)
    for name in (*args.systems, *args.weights):
        if name not in SYSTEMS:
            raise UserError(f'There is no system {name!r} here: choose of '
                            f'{", ".join(SYSTEMS)}.')
    for name, file in args.weights.items():
        if not Path(file).is_file():
            raise UserError(f'There are no weights of {name} at {file!r}: '
                            'give --weights SYSTEM=FILE.')
    return args


def command(args: argparse.Namespace, name: str) -> list[str]:
    """What measures a system."""
    config, options = SYSTEMS[name]
    found = [sys.executable, str(SOAK),
             str(ROOT / f'configs/{config}{SHAPES}')]
    if name in args.weights:
        found.append(args.weights[name])
    found += ['--frames', *map(str, args.frames), '--device', args.device,
              '--json']
    changed = options.split()
    if args.small:
        found += ['--size', '64', '96']
        changed.append(SMALL)
    return found + (['--cfg-options', *changed] if changed else [])


def row(name: str, report: dict[str, Any]) -> str:
    """A line of the table."""
    if 'ratio' in report:
        runs, grown = [report['short'], report['long']], report['ratio']
    else:
        runs = [report['settled'], report] if 'settled' in report else [report]
        grown = report.get('growth', 1.)
    whole = runs[-1]
    peaks = ' / '.join(f'{run["peak_mib"]:.1f}' for run in runs)
    ids = ' / '.join(str(run['identities']) for run in runs
                     if 'identities' in run)
    cells = [f'`{name}`', f'{whole["instances"]:.1f}', ids, f'{peaks} MiB',
             f'{grown:.3f}']
    if 'more' in report:
        cells.append('{handles:+} / {threads:+}'.format(**report['more']))
    cells.append(f'{whole["seconds"]:.0f} s')
    return f'| {" | ".join(cells)} |'


def main() -> None:
    """Measure all that were asked for."""
    args = parse_args()
    failed = []
    for name in args.systems or SYSTEMS:
        done = subprocess.run(command(args, name), stdout=subprocess.PIPE,
                              text=True)
        last = done.stdout.strip().rpartition('\n')[2]
        if not last.startswith('{'):
            failed.append(name)
            print(f'| `{name}` | failed with status {done.returncode} |',
                  flush=True)
            continue
        print(row(name, json.loads(last)), flush=True)
        if done.returncode:
            failed.append(name)
    if failed:
        print(f'Grew too much, or failed: {", ".join(failed)}.')
        sys.exit(LIMITS)


if __name__ == '__main__':
    run_tool(main)
