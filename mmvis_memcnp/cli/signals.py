"""SIGTERM and Ctrl-C end a tool with one sentence, from its first line on.

Imports next to nothing, so that a tool can call :func:`answer_early` before
its other imports, which take seconds.
"""
from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what Ctrl-C does, so that everything is cleared up."""


class Signals:
    """SIGTERM and Ctrl-C as exceptions while a tool runs.

    Attributes:
        came (KeyboardInterrupt | None): What the last one raised.
    """

    def __init__(self) -> None:
        self.came: KeyboardInterrupt | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        # Only the main thread may set handlers, and only it gets signals.
        if threading.current_thread() is threading.main_thread():
            self._former[signal.SIGTERM] = signal.signal(
                signal.SIGTERM, self._raise)
            if _may_be_replaced(signal.SIGINT):
                self._former[signal.SIGINT] = signal.signal(
                    signal.SIGINT, self._raise)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, self._at_the_end if handler is _leave
                          else handler)

    def mute(self) -> None:
        """Take no more signals until the end: one was answered."""
        for number in self._former:
            signal.signal(number, signal.SIG_IGN)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            # One is enough; a second may not disturb what the first set off.
            signal.signal(number, signal.SIG_IGN)
            self.came = Terminated()
        else:
            self.came = KeyboardInterrupt()
        raise self.came

    def _at_the_end(self, number: int, frame: FrameType | None) -> None:
        """Python ends, and what is imported clears up after itself."""
        _leave(number, frame, '' if self.came else 'it was ending already.')


def answer_early() -> None:
    """Let SIGTERM and Ctrl-C end this process with a sentence from now on.

    For the first line of a program: there is nothing to clear up yet, and an
    exception would be seen, or lost, by whatever is being imported. A handler
    that somebody else set stays, and so does a signal that is ignored. So do
    both where a notebook or a test runs the tool: they are not its.
    :func:`~mmvis_memcnp.cli.run.run_tool` takes over.
    """
    default = _is_the_program()
    for number in (signal.SIGTERM, signal.SIGINT):
        if _may_be_replaced(number, default):
            signal.signal(number, _leave)


def _is_the_program() -> bool:
    """Whether the command line names the file that is ``__main__``."""
    path = getattr(sys.modules['__main__'], '__file__', None)
    return path is not None and os.path.realpath(path) in map(
        os.path.realpath, sys.orig_argv)


def _may_be_replaced(number: int, default: bool = True) -> bool:
    handler = signal.getsignal(number)
    if handler in (signal.default_int_handler, signal.SIG_DFL):
        return default
    return handler is _leave or isinstance(
        getattr(handler, '__self__', None), Signals)


def _leave(number: int, frame: FrameType | None,
           stopped: str = 'nothing was done yet.') -> None:
    """End at once, with the status that :func:`run_tool` gives."""
    if stopped and sys.stderr is not None:
        os.write(2, f'Stopped: {stopped}\n'.encode())
    os._exit(128 + number)
