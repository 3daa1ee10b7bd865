"""Two checkouts that take turns, each in a process of its own."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mmvis_memcnp.errors import UserError


class Checkout:
    """A checkout at work on a script, on one thread.

    The script reads a word a line and answers each with a line of json. What
    else it writes is not looked at. It must import nothing of the package
    that an older checkout lacks: where this package is installed as well,
    Python would take that part from there.

    Args:
        stack (ExitStack): Ends the process.
        folder (Path): The checkout, whose package the script imports.
        script (Path): File of this checkout.
        arguments (str): Of the script.
    """

    def __init__(self, stack: ExitStack, folder: Path, script: Path,
                 *arguments: str) -> None:
        environment = dict(os.environ, PYTHONPATH=str(folder),
                           OMP_NUM_THREADS='1')
        self._command = [sys.executable, str(script), *arguments]
        self._process = stack.enter_context(subprocess.Popen(
            self._command, cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL))
        stack.callback(self._process.kill)
        self.folder = folder
        self.seconds: list[float] = []

    def ask(self, word: str) -> dict:
        """Say a word, and wait for the answer.

        Raises:
            UserError: If the process has ended.
        """
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(f'{word}\n')
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, as the missing answer says
        for line in process.stdout:
            if line.startswith('{'):
                return json.loads(line)
        raise UserError(
            'A checkout failed: run its part alone, in the folder '
            f'{self.folder}: PYTHONPATH=. python '
            f'{" ".join(map(repr, self._command[1:]))} < /dev/null')


def take_turns(checkouts: Mapping[str, Checkout], count: int
               ) -> dict[str, list[dict]]:
    """Let checkouts work in turn, every second time in the other order.

    Args:
        checkouts (Mapping): By name; each answers ``turn`` with ``seconds``,
            which go to :attr:`Checkout.seconds`.
        count (int): Turns of each that count. A turn more, the first one,
            warms up.

    Returns:
        dict[str, list[dict]]: The ``count + 1`` answers of each.
    """
    answers: dict[str, list[dict]] = {name: [] for name in checkouts}
    for turn in range(count + 1):
        for name in list(checkouts)[::-1 if turn % 2 else 1]:
            answers[name].append(checkouts[name].ask('turn'))
    for name, checkout in checkouts.items():
        checkout.seconds = [a['seconds'] for a in answers[name][1:]]
    return answers
