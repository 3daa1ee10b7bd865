"""Compare this package with the stored outputs of an official code.

usage: python tests/parity/run_fixture.py FIXTURE_DIR [--device cuda]

Everything is read from the ``run`` block of the fixture's ``manifest.json``.
``tests/parity/systems/<system>.py`` computes, the harness compares: one line
an array.  Exit status 1 if an array is missing, not compared (except
``quirk_arrays``) or further off than its tolerance.  On a GPU sums have
another order; ``--slack 10`` allows ten times every tolerance.  As a script it
sums in the same order on all processors with AVX2, which decides where a mask
logit or a unit is at 0 (``SAME_ON_ALL``).
"""
import argparse
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Callable, Dict, Tuple

ROOT = Path(__file__).resolve().parents[2]
#: Kernels of MKL, PyTorch and oneDNN that do not depend on the processor.
SAME_ON_ALL = dict(MKL_CBWR='COMPATIBLE', ATEN_CPU_CAPABILITY='avx2',
                   ONEDNN_MAX_CPU_ISA='AVX2')
_CPU = Path('/proc/cpuinfo')
if __name__ == '__main__':  # run as a script: only its folder is on the path
    sys.path[0] = str(ROOT)
    if _CPU.is_file() and ' avx2 ' in _CPU.read_text():
        for _name, _value in SAME_ON_ALL.items():  # before they are loaded
            os.environ.setdefault(_name, _value)

from tests.parity.compare import Comparer  # noqa: E402
from tests.parity.coverage import problems  # noqa: E402
from tests.parity.entries import ManifestError  # noqa: E402
from tests.parity.fixture import Fixture  # noqa: E402
from tests.parity.on_device import on_device  # noqa: E402

Compute = Callable[[Fixture], Dict[Tuple[str, str, str], object]]


def load_system(name: str) -> Compute:
    """``compute`` of ``tests/parity/systems/<name>.py``.

    Raises:
        ManifestError: if there is no such file.
    """
    known = sorted(
        p.stem for p in (ROOT / 'tests/parity/systems').glob('[a-z]*.py'))
    if name not in known:
        raise ManifestError(f'no tests/parity/systems/{name}.py; known: '
                            f'{", ".join(known)}')
    return importlib.import_module(f'tests.parity.systems.{name}').compute


def run(folder: str, device: str = 'cpu', slack: float = 1.) -> int:
    """Check one fixture folder; returns the exit status.

    Args:
        folder: Of the fixture.
        device: Where the package computes.
        slack: How many times its tolerance an array may be off.
    """
    try:
        fixture = Fixture(folder)
        compute = load_system(fixture.run['system'])
        gaps = problems(fixture)
    except (ManifestError, KeyError) as error:
        print(f'FAIL {folder}: {error}')
        return 1
    for gap in gaps:
        print(f'FAIL {gap}')
    try:
        with on_device(device):
            computed = compute(fixture)
            outcomes = Comparer(fixture, computed, slack).outcomes()
    except Exception as error:  # whatever it is: report, then fail
        traceback.print_exc(file=sys.stdout)
        print(f'FAIL {fixture.folder.name}: compute() of '
              f'{fixture.run["system"]} raised the error above: '
              f'{type(error).__name__}: {error}')
        return 1
    for outcome in outcomes:
        print(outcome.line())
    failed = len(gaps) + sum(not o.ok for o in outcomes)
    skipped = sum(o.ok and o.error is None for o in outcomes)
    print(f'{fixture.folder.name}: {len(outcomes)} arrays, '
          f'{skipped} skipped (copy a bug), {failed} failed')
    if not outcomes:
        print('FAIL the fixture describes no arrays')
    return int(failed > 0 or not outcomes)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', help='folder with a manifest.json')
    parser.add_argument('--device', default='cpu',
                        help='cpu or cuda:0 (default: %(default)s)')
    parser.add_argument('--slack', type=float, default=1., help='how many '
                        'times its tolerance an array may be off (default: 1)')
    args = parser.parse_args()
    sys.exit(run(args.folder, args.device, args.slack))
