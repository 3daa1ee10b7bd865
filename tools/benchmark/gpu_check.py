"""Check everything that needs a GPU, most important first, in a few minutes.

In this order: the machine and its software; the tests for CUDA; the outputs of
the official codes (tests/parity); losses and gradients of every system in
mixed precision; frames a second by part of every system at its paper's
resolution, with and without MemCNP. ``--out`` is written anew after each row,
so that a kill loses nothing.

The machine needs PyTorch, pytest, NumPy, SciPy, OpenCV and Matplotlib. What
else is missing can come along as wheels: see tools/benchmark/README.md.

Exit status 0: all was checked and is well. 1: a check failed or was not run,
or there is no GPU, so that nothing was checked.

Examples:

    python tools/benchmark/gpu_check.py --wheels .whl --out $OUT/gpu_check.json
    python tools/benchmark/gpu_check.py --device cpu --tiny
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Runs the checks, in a process of its own: what breaks there stays there.
WORKER = ROOT / 'tools/benchmark/gpu_checks.py'
#: Fixtures of official codes, most important first; those of the repository
#: that are not named follow. What is not in the repository is read from
#: ``$MMVIS_SHARED`` or ``../shared``, if it is there.
FIXTURES = ('sipmask_r50_ytvis', 'memcnp_r50_ytvis', 'memcnp_units',
            'idol_r50_ytvis19', 'seqformer_r50_ytvis19',
            'instanceformer_r50_ytvis19_nomem', 'mask2former_r50_ctvis',
            'dvis_daq_r50_ytvis', 'instanceformer_r50_ytvis19')
#: Take a minute or more, most of it to draw weights.
LAST = ('memcnp_vit_ytvis', )
#: What a dry run takes of them.
TINY = ('memcnp_units', 'ifc_clip_matching')
#: Share of the time that one check may take.
SHARE = .4


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=6.,
                        help='stop after that long (default: %(default)s)')
    parser.add_argument('--out', type=Path,
                        default=Path('outputs/gpu_check.json'),
                        help='all rows, as json (default: %(default)s)')
    parser.add_argument('--device', default='cuda:0',
                        help='cuda:0, or cpu for a dry run '
                        '(default: %(default)s)')
    parser.add_argument('--tiny', action='store_true',
                        help='small models and frames, for a dry run')
    parser.add_argument('--only', nargs='+', metavar='KIND', choices=KINDS,
                        help='of: %(choices)s')
    parser.add_argument('--wheels', type=Path, metavar='DIR',
                        help='install requirements/gpu.lock from the wheels '
                        'in this folder first, for this run alone')
    return parser.parse_args()


# -- what there is to check -------------------------------------------------
def systems(tiny: bool) -> list[str]:
    """A config a system: R50 (VidEoMT: ViT-L) on YouTube-VIS 2021, or the
    small one."""
    patterns = ('_r18_movingshapes', '_vit-t_movingshapes') if tiny else (
        '_r50_*xb*_youtubevis2021', '_vit-l_*xb*_youtubevis2021')
    found: dict[str, str] = {}
    # The plain recipe has the shortest name.
    for path in sorted((path for pattern in patterns for path in
                        ROOT.glob(f'configs/*/*{pattern}.py')),
                       key=lambda p: (len(p.name), p.name)):
        if re.match('[a-z0-9-]+-segmenter_|eomt_', path.name):
            continue  # MinVIS, whose weights a system starts from
        found.setdefault(path.name.split('_')[0],
                         f'{path.parent.name}/{path.name}')
    return [found[stem] for stem in sorted(found)]


def fixtures(tiny: bool) -> list[str]:
    """Folders of parity fixtures."""
    ours = {p.parent.name: str(p.parent.relative_to(ROOT)) for p in
            sorted((ROOT / 'tests/data/parity').glob('*/manifest.json'))}
    if tiny:
        return [ours[name] for name in TINY]
    shared = Path(os.environ.get('MMVIS_SHARED') or ROOT.parent / 'shared')
    for name in set(FIXTURES).difference(ours):
        if (shared / 'parity' / name / 'manifest.json').is_file():
            ours[name] = str(shared / 'parity' / name)
    order = {name: at for at, name in enumerate(FIXTURES)}
    return [ours[name] for name in sorted(ours, key=lambda name: (
        name in LAST, order.get(name, len(order)), name))]


def test_items(tiny: bool) -> Iterator[str]:
    """Files with tests for CUDA."""
    for path in sorted((ROOT / 'tests/test_cuda').glob('test_*.py')):
        # The pretended device is there for machines without a real one.
        if path.name != 'test_pretended.py':
            yield f'tests:{path.relative_to(ROOT)}'


def amp_items(tiny: bool) -> Iterator[str]:
    """Every system in both types; float16 needs a GPU."""
    for dtype in ('bfloat16', ) if tiny else ('bfloat16', 'float16'):
        for config in systems(tiny):
            yield f'amp:{config}:{dtype}'


def speed_items(tiny: bool) -> Iterator[str]:
    """VidEoMT compiled at the size of its published frames a second, with
    and without MemCNP; then every system in single and in mixed precision,
    then optimized. Names of ``VARIANTS`` in speed.py."""
    side = 64 if tiny else 640
    for config in systems(tiny):
        if config.startswith('videomt/'):
            yield f'speed:{config}:amp-compiled:{side}x{side}'
    for variant in ('float32', 'amp', 'float32-optimized', 'amp-optimized'):
        for config in systems(tiny):
            yield f'speed:{config}:{variant}'


KINDS = {
    'environment': lambda tiny: ['environment'],
    'tests': test_items,
    'parity': lambda tiny: [f'parity:{f}' for f in fixtures(tiny)],
    'amp': amp_items,
    'speed': speed_items,
}


# -- running ----------------------------------------------------------------
class Report:
    """Rows so far, in a file that is always whole.

    Args:
        path (Path): The json file.
        known (dict): What stands above the rows.
    """

    def __init__(self, path: Path, known: dict[str, Any]) -> None:
        self.path = path
        self.data = dict(known, complete=False, not_run=[], rows=[])

    def add(self, row: dict[str, Any]) -> None:
        """A check has ended."""
        self.data['rows'].append(row)
        print('{} {:6.1f} s  {}'.format(
            'ok  ' if row['ok'] else 'FAIL', row['seconds'], row['item']),
            flush=True)
        self.save()

    def save(self) -> None:
        """Put the file in place of the former one."""
        from mmvis_memcnp.results.ownership import new_file
        with new_file(self.path, overwrite=True, durable=False) as part:
            part.write_text(json.dumps(self.data, indent=1))


def work(items: list[str], args: argparse.Namespace, report: Report,
         deadline: float, limit: float) -> list[str]:
    """Run checks in a process of their own until all are done, it dies or
    time is up.

    Args:
        items (list[str]): The checks.
        args: Of the command line.
        report: Gets a row a check.
        deadline: When to stop, in seconds of ``time.monotonic``.
        limit: Seconds that one check may take.

    Returns:
        list[str]: The checks that no row says anything about.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows, log = Path(folder, 'rows'), Path(folder, 'log')
        rows.touch()
        command = [
            sys.executable, str(WORKER), '--rows', str(rows), '--device',
            args.device, *['--tiny'][:args.tiny], *items]
        with log.open('w') as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
                start_new_session=True)
        left, current, begun, seen = list(items), '', time.monotonic(), 0

        def stopped(error: str) -> None:
            """The current check has no end of its own."""
            if current:
                left.remove(current)
                report.add(dict(item=current, ok=False, error=error,
                                seconds=round(time.monotonic() - begun, 2)))

        try:
            while True:
                ended = process.poll() is not None
                lines = rows.read_text().splitlines(keepends=True)
                whole = [x for x in lines if x.endswith('\n')]
                for line in whole[seen:]:
                    row = json.loads(line)
                    begun = time.monotonic()
                    current = row.get('begin', '')
                    if not current:
                        left.remove(row['item'])
                        report.add(row)
                seen = len(whole)
                if ended:
                    if process.returncode:
                        tail = log.read_text()[-1500:]
                        current = current or (left[0] if left else '')
                        stopped(f'the process ended with '
                                f'{process.returncode}: {tail}')
                    return left
                if time.monotonic() > deadline:
                    stopped('not finished in time')
                    report.data['not_run'] = list(left)
                    return []
                if time.monotonic() - begun > limit:
                    stopped(f'took longer than {limit:.0f} s')
                    return left
                time.sleep(.1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def table(report: dict[str, Any]) -> str:
    """The rows for a reader."""
    lines = []
    for row in report['rows']:
        kind = row['item'].split(':')[0]
        if 'error' in row:
            said = row['error'].strip().splitlines()[-1][:90]
        elif kind == 'environment':
            said = ', '.join(f'{k} {row[k]}' for k in (
                'device', 'torch', 'python', 'mmcv_operators'))
        elif kind == 'tests':
            said = f'{row["passed"]} passed, {len(row["failed"])} failed'
        elif kind == 'parity':
            said = f'{row["arrays"]} arrays, {len(row["failed"])} failed'
        elif kind == 'amp':
            said = f'loss {row["loss"]}, {row["gradients"]} gradients'
            said += f', not finite: {row["not_finite"]}'[
                :200 * bool(row['not_finite'])]
        else:
            said = '{:8.2f} fps {:5.1f} instances '.format(
                row['fps'], row['instances']) + ' '.join(
                f'{part} {ms:.2f}' for part, ms in row['ms'].items()) + ' ms'
        if 'peak_mib' in row and kind in ('amp', 'speed'):
            said += f', {row["peak_mib"]} MiB'
        name = row['item'].removeprefix(f'{kind}:').replace(f'{ROOT}/', '')
        lines.append(f'{"ok" if row["ok"] else "FAIL":4} {kind:11} '
                     f'{name:62} {said}')
    return '\n'.join(lines)


def install(wheels: Path) -> None:
    """Let this process and those it starts use a folder of wheels."""
    site = tempfile.mkdtemp(prefix='gpu_check_')
    subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '-q', '--no-index',
         '--no-deps', '--no-compile', '--find-links', str(wheels),
         '--target', site, '-r', str(ROOT / 'requirements/gpu.lock')],
        check=True)
    sys.path.insert(0, site)
    os.environ['PYTHONPATH'] = os.pathsep.join(
        filter(None, [site, os.environ.get('PYTHONPATH')]))


def problem(device: str) -> str | None:
    """Why nothing can be checked here, in a sentence."""
    if importlib.util.find_spec('torch') is None:
        return 'PyTorch is not installed here.'
    import torch
    if device.startswith('cuda') and not torch.cuda.is_available():
        return (f'PyTorch {torch.__version__} sees no GPU here, so nothing was'
                ' checked: run this where there is one, or dry-run it with '
                '--device cpu --tiny.')
    missing = [x for x in ('mmengine', 'mmcv', 'mmdet', 'pycocotools',
                           'pytest') if importlib.util.find_spec(x) is None]
    if missing:
        return (f'{", ".join(missing)} must be installed: see '
                'tools/benchmark/README.md, --wheels.')
    return None


def no_place(path: Path) -> str | None:
    """Why nothing can be noted there, in a sentence."""
    from mmvis_memcnp.errors import OutputError
    from mmvis_memcnp.results.ownership import check_file
    try:
        check_file(path, '--out', overwrite=True)
    except OutputError as error:
        return str(error)
    return None


def main() -> int:
    args = parse_args()
    begin = time.monotonic()
    sys.path.insert(0, str(ROOT))
    if args.wheels:
        install(args.wheels)
    # Nothing was checked: whoever relies on the exit status must see it.
    error = problem(args.device) or no_place(args.out)
    if error:
        print(f'Error: {error}', file=sys.stderr)
        return 1
    items = [item for kind, name in KINDS.items()
             if not args.only or kind in args.only
             for item in name(args.tiny)]
    report = Report(args.out, dict(
        device=args.device, tiny=args.tiny, minutes=args.minutes))
    deadline = begin + 60 * args.minutes
    while items:
        items = work(items, args, report, deadline, 60 * args.minutes * SHARE)
    rows = report.data['rows']
    report.data['complete'] = not report.data['not_run']
    report.data['seconds'] = round(time.monotonic() - begin, 1)
    report.save()
    print(table(report.data))
    failed = sum(not row['ok'] for row in rows)
    print(f'{len(rows)} checks, {failed} failed, '
          f'{len(report.data["not_run"])} not run for want of time; '
          f'{report.data["seconds"]:.0f} s; {args.out}')
    return int(bool(failed or report.data['not_run']))


if __name__ == '__main__':
    sys.exit(main())
