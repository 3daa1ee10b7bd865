"""Print what is installed, what is compiled, and the fix of each mismatch.

Exits with 1 if something will not run.
"""
import os
import signal
import sys

if __name__ == '__main__' and os.path.realpath(__file__) in map(
        os.path.realpath, sys.orig_argv):
    # As answer_early() of the package, whose import must come after those of
    # the libraries that it needs, or theirs would be to blame.
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: (
                os.write(2, b'Stopped: not all was checked.\n'),
                os._exit(128 + number)))

import argparse
import importlib
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from packaging.version import InvalidVersion, Version

# Distribution names that bring one import name, the usual one first.
PACKAGES = {
    'torch': ('torch', ),
    'numpy': ('numpy', ),
    'cv2': ('opencv-python-headless', 'opencv-python',
            'opencv-contrib-python', 'opencv-contrib-python-headless'),
    'mmengine': ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'mmcv-lite', 'mmcv-full', 'onedl-mmcv'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'pycocotools': ('pycocotools', ),
    'scipy': ('scipy', ),
    'matplotlib': ('matplotlib', ),
    'tqdm': ('tqdm', ),
    'setuptools': ('setuptools', ),
}
OPTIONAL = ('setuptools', )


@dataclass
class Finding:
    """One mismatch.

    Attributes:
        fatal (bool): Whether something will not run because of it.
        problem (str): What is wrong.
        fix (str): What to do.
    """
    fatal: bool
    problem: str
    fix: str


def installed() -> dict[str, str]:
    """Version of every known distribution that is installed, by its name."""
    versions = {}
    for names in PACKAGES.values():
        for name in names:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return versions


def _at_least(versions: dict[str, str], name: str, bound: str) -> bool:
    """Whether ``name`` is installed in that version or later."""
    try:
        return name in versions and Version(versions[name]) >= Version(bound)
    except InvalidVersion:  # a build of someone's own: no opinion
        return False


def check_versions(versions: dict[str, str],
                   python: tuple[int, ...] = sys.version_info[:2],
                   ) -> Iterator[Finding]:
    """What can be told from versions alone.

    Args:
        versions (dict[str, str]): Installed distributions, name to version.
        python (tuple[int, ...]): Major and minor version.

    Yields:
        Finding: A mismatch.
    """
    if python < (3, 11):
        yield Finding(True, f'Python {python[0]}.{python[1]} is too old',
                      'make PYTHON=python3.11 env')
    for module, names in PACKAGES.items():
        found = [name for name in names if name in versions]
        if not found and module not in OPTIONAL:
            yield Finding(True, f'{module} is not installed',
                          f'pip install {names[0]}, or `make env`'
                          if module != 'mmcv' else
                          'pip install --no-deps mmcv-lite==2.1.0')
        if len(found) > 1:
            yield Finding(
                True, f'{" and ".join(found)} share the folder {module}/ and '
                'overwrite each other',
                f'pip uninstall -y {" ".join(found)}, then install one')
    ours = [name for name in versions if name.startswith('onedl-')]
    upstream = [name for name in ('mmengine', 'mmcv', 'mmcv-lite', 'mmdet')
                if name in versions]
    if ours and upstream:
        yield Finding(
            True, f'onedl forks ({", ".join(ours)}) are mixed with upstream '
            f'({", ".join(upstream)})',
            'a fresh environment from requirements/stack.lock or '
            'requirements/onedl.lock')
    for name in ('mmcv', 'mmcv-lite'):
        if _at_least(versions, name, '2.2.0') and 'mmdet' in versions and \
                not _at_least(versions, 'mmdet', '3.4'):
            yield Finding(
                True, f'mmdet {versions["mmdet"]} refuses {name} '
                f'{versions[name]}',
                f'pip uninstall -y {name}; pip install --no-deps '
                'mmcv-lite==2.1.0')
    for name, bound in (('torch', '2.7'), ('numpy', '1.26'),
                        ('mmdet', '3.3'), ('mmengine', '0.10.4')):
        if name in versions and not _at_least(versions, name, bound):
            yield Finding(True, f'{name} {versions[name]} is too old',
                          f'pip install "{name}>={bound}"')
    if _at_least(versions, 'setuptools', '81') and \
            'onedl-mmengine' not in versions:
        yield Finding(
            False, f'setuptools {versions["setuptools"]} has no '
            'pkg_resources: mmcv cannot be compiled (running is unaffected)',
            'pip install "setuptools<81" before `make ops`')


def check_imports() -> Iterator[Finding]:
    """What only an import shows.

    Yields:
        Finding: A package that cannot be imported.
    """
    # The package first: it brings the shims that mmdet's models need.
    for module in ('torch', 'cv2', 'mmengine', 'mmcv', 'mmvis_memcnp',
                   'mmdet.models'):
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a broken install raises
            reason = (str(error).splitlines() or [''])[0]
            yield Finding(
                True, f'{module} cannot be imported: '
                f'{type(error).__name__}: {reason}',
                'fix what is named above, else a fresh environment: '
                '`make clean env`')


def operators() -> dict[str, str]:
    """Which implementation of each operator runs."""
    import torch

    from mmvis_memcnp.compat import mmcv_ext
    from mmvis_memcnp.ops import library
    from mmvis_memcnp.results import compiled

    stand_in = mmcv_ext.stand_in()
    if stand_in is None:
        mmcv_state = 'compiled'
    else:
        mmcv_state = (f'PyTorch ({stand_in.reason}); `make ops` compiles them.'
                      f' Covered: {", ".join(sorted(mmcv_ext.STAND_INS))}')
    state = {'mmcv.ops': mmcv_state}
    for device in ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu', ):
        reason = library.load() or f'not built for {device}'
        state[f'crop_split on {device}'] = (
            'compiled' if library.compiled_for(device) else
            f'PyTorch ({reason}); `make ops` compiles it')
    reason = compiled.missing()
    state['run-length codes'] = (
        f'NumPy ({reason}); `make own-ops` compiles them' if reason
        else 'compiled')
    return state


def check_operators(state: dict[str, str]) -> Iterator[Finding]:
    """Compiled operators that are there but do not load.

    Args:
        state (dict[str, str]): As :func:`operators` returns it.

    Yields:
        Finding: A mismatch.
    """
    for name, text in state.items():
        if 'cannot be loaded' in text and name == 'run-length codes':
            yield Finding(False, f'the library for {name} does not load',
                          'make clean env own-ops')
        elif 'cannot be loaded' in text:
            yield Finding(False, f'{name} was built for another PyTorch',
                          'make clean env ops')


def devices() -> str:
    """The accelerator, in words."""
    import torch
    if not torch.cuda.is_available():
        built = torch.version.cuda
        return ('none (CPU build of PyTorch)' if built is None else
                f'none visible (PyTorch is built for CUDA {built})')
    return (f'{torch.cuda.get_device_name()} x {torch.cuda.device_count()}, '
            f'CUDA {torch.version.cuda}')


def main(argv: list[str] | None = None,
         write: Callable[[str], object] = print) -> int:
    """Print the report.

    Args:
        argv (list[str] | None): Command line. Defaults to None.
        write: Where the lines go. Defaults to print.

    Returns:
        int: Exit status, 1 if something will not run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--json', action='store_true', help='one JSON object, for bug reports')
    args = parser.parse_args(argv)
    if util.find_spec('mmvis_memcnp') is None:  # run from a bare clone
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

    versions = installed()
    findings = list(check_versions(versions))
    broken = list(check_imports())
    findings += broken
    state: dict[str, str] = {}
    device = 'unknown'
    if not broken:
        state, device = operators(), devices()
        findings += check_operators(state)
    fatal = any(finding.fatal for finding in findings)

    if args.json:
        write(json.dumps(dict(
            python=platform.python_version(), versions=versions,
            accelerator=device, operators=state,
            findings=[vars(finding) for finding in findings], ok=not fatal)))
        return int(fatal)
    write(f'{"python":24}{platform.python_version()}')
    for name, version in versions.items():
        write(f'{name:24}{version}')
    write(f'{"accelerator":24}{device}')
    for name, text in state.items():
        write(f'{name:24}{text}')
    for finding in findings:
        write(f'{"ERROR" if finding.fatal else "note"}: {finding.problem}.\n'
              f'  fix: {finding.fix}')
    write('Something will not run, see ERROR.' if fatal else
          'Everything that is needed runs.')
    return int(fatal)


if __name__ == '__main__':
    sys.exit(main())
