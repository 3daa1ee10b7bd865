"""Run what a Dockerfile runs, in a fresh folder and without Docker.

The files of the last commit take the place of COPY, the folder that of
WORKDIR. ENV and RUN are obeyed in their order; a RUN of apt-get is left out
and printed, as are FROM, ENTRYPOINT and CMD, so that the Python and the
compilers are those of this machine. Exit status 1 if a RUN fails.

Example:

    python tools/benchmark/run_dockerfile.py docker/cpu.Dockerfile
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dockerfile', type=Path)
    parser.add_argument('--skip-env', nargs='+', default=[], metavar='NAME',
                        help='variables that keep their value of this machine')
    return parser.parse_args()


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and argument of each instruction, in order.

    Args:
        text (str): Of a Dockerfile: comments, lines continued by a backslash.
    """
    lines = [line for line in text.splitlines()
             if not line.lstrip().startswith('#')]
    for line in re.sub(r'\\\n\s*', '', '\n'.join(lines)).splitlines():
        if line.strip():
            name, _, argument = line.strip().partition(' ')
            yield name.upper(), argument.strip()


def settings(argument: str) -> dict[str, str]:
    """Variables of an ENV."""
    return dict(pair.split('=', 1) for pair in shlex.split(argument))


def run(dockerfile: Path, folder: Path, skip_env: list[str]) -> int:
    """Obey a Dockerfile in an empty folder; the status of what failed."""
    env = {k: v for k, v in os.environ.items()
           if k not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    for name, argument in instructions(dockerfile.read_text()):
        if name == 'ENV':
            env.update({k: v for k, v in settings(argument).items()
                        if k not in skip_env})
        elif name == 'COPY' and argument == '. .':
            archive = subprocess.run(['git', 'archive', 'HEAD'], cwd=ROOT,
                                     check=True, stdout=subprocess.PIPE)
            subprocess.run(['tar', 'x'], cwd=folder, check=True,
                           input=archive.stdout)
        elif name == 'RUN' and not argument.startswith('apt-get'):
            print(f'RUN {argument}', flush=True)
            status = subprocess.run(
                argument, shell=True, cwd=folder, env=env).returncode
            if status:
                print(f'exit status {status}')
                return status
        elif name != 'WORKDIR':
            print(f'left out: {name} {argument}', flush=True)
    return 0


def main() -> None:
    """Obey, say."""
    args = parse_args()
    with tempfile.TemporaryDirectory(prefix='mmvis_docker_') as folder:
        status = run(args.dockerfile, Path(folder), args.skip_env)
    print('works' if not status else 'failed')
    sys.exit(bool(status))


if __name__ == '__main__':
    main()
