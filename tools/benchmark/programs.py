"""Starts other programs."""
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmvis_memcnp.errors import UserError


def run_program(path: Path, *args: Any,
                env: Mapping[str, str] | None = None) -> None:
    """Run a Python program to its end.

    Args:
        path: of its file.
        args: of its command line.
        env: its environment, that of this process by default.

    Raises:
        UserError: if it fails; it has said why.
    """
    command = [sys.executable, str(path), *map(str, args)]
    status = subprocess.run(command, env=env).returncode
    if status:
        raise UserError(f'{path.name} ended with status {status}: what it '
                        'says above must be mended first.')
