"""Running a tool: the user's errors end it with one sentence."""
from __future__ import annotations

import errno
import logging
import os
import re
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CheckpointError, UserError
from .signals import Signals, Terminated

_PACKAGE = Path(__file__).resolve().parents[1]
# Kinds that the package's own code raises for bad input.
_INPUT_ERRORS = (ValueError, FileNotFoundError, CheckpointError)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def user_message(error: BaseException) -> str | None:
    """The sentence to show for an error, or None if it is a defect.

    A :class:`UserError` always has one. So has a ``ValueError``,
    ``FileNotFoundError`` or ``CheckpointError`` that was raised by a line of
    this package: its code raises those for bad input. The same kinds raised
    inside a library are defects and keep their traceback. An error that a
    data loading worker handed over carries its traceback as text, which is
    read in the same way. A file name that is too long, a full disk and memory
    that does not suffice are always the user's.

    Args:
        error: What was caught.

    Returns:
        The sentence, or None.
    """
    if isinstance(error, TypeError):
        return _unknown_option(error)
    if isinstance(error, MemoryError):
        return ('There is not enough memory'
                f'{f" ({error})" if str(error) else ""}: give more, or a '
                'smaller input.')
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f'{str(error.filename)[:60]}... is too long for a file name.'
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        what = error.filename or 'What the tool prints or writes'
        return (f'{what} has no place ({error.strerror}): make room, or '
                'choose another place.')
    if not isinstance(error, _INPUT_ERRORS):
        return None
    text = str(error)
    if 'Original Traceback' in text and text.startswith('Caught '):
        return _worker_message(error, text)
    if isinstance(error, UserError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    return text if frames and _is_ours(frames[-1].filename) else None


def _unknown_option(error: TypeError) -> str | None:
    """The sentence for a config's key that a registered class lacks."""
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword "
                      r"argument '(\w+)'", str(error))
    if not found:
        return None
    # Which part was built; it may hand the option to its bases.
    built = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if Path(code.co_filename).name == 'build_functions.py':
            built = frame.f_locals.get('obj_cls')
        elif code.co_name != '__init__' or found[2] not in frame.f_locals.get(
                'kwargs', ()):
            built = None
    if built is None:
        return None
    name = getattr(built, '__name__', found[1])
    return (f'{name} has no option {found[2]!r}: correct it in the '
            'config or in --cfg-options.')


def _is_ours(filename: str) -> bool:
    return _PACKAGE in Path(filename).resolve().parents


def _worker_message(error: BaseException, text: str) -> str | None:
    """Read the sentence out of the traceback text of a worker."""
    files = re.findall(r'^\s+File "(.+)", line \d+', text, re.MULTILINE)
    raised = re.findall(r'^[\w.]+: (.+(?:\n(?!\s).+)*)\s*\Z', text,
                        re.MULTILINE)
    ours = isinstance(error, UserError) or (files and _is_ours(files[-1]))
    return raised[-1].strip() if ours and raised else None


def _stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """The signal that led to an error; some code catches it as a failure."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _nobody_reads() -> bool:
    """Whether the reader of stdout is gone, as behind '| head'."""
    if not hasattr(select, 'poll'):  # on Windows
        return False
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in reader.poll(0))


@contextmanager
def _printing() -> Iterator[None]:
    """What is printed has arrived at the end of the block, or it raises."""
    # A logger would print a traceback for each of its lines.
    former, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
        _flush()
    except SystemExit:
        with suppress(BrokenPipeError):
            _flush()
        raise
    finally:
        logging.raiseExceptions = former


def _flush() -> None:
    if sys.stdout is not None:  # it was closed before the start: >&-
        sys.stdout.flush()


def run_tool(main: Callable[[], object],
             stopped: str = 'nothing is left half-written.') -> None:
    """Run a command-line tool; bad input ends it with one sentence.

    The sentence goes to stderr and the exit status is 1. Set
    ``MMVIS_TRACEBACK=1`` to see where it came from. Defects keep their
    traceback. Ctrl-C and SIGTERM end it with a sentence, too, once temporary
    files are gone; the exit status is 130 or 143. A tool whose output nobody
    reads any more (``| head``) ends without a word, with 141.

    Args:
        main: The tool.
        stopped: What is true after a signal, said behind 'Stopped: '.
    """
    with Signals() as signals:
        try:
            with _printing():
                main()
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                sys.exit(141)
            message = user_message(error)
            stop = _stop_behind(error)
            if stop is None and message is None:
                # Compiled code may lose the exception and raise its own.
                stop = signals.came
            if stop is not None:
                signals.mute()
                print(f'Stopped: {stopped}', file=sys.stderr, flush=True)
                sys.exit(143 if isinstance(stop, Terminated) else 130)
            if message is None or os.environ.get('MMVIS_TRACEBACK') == '1':
                raise
            print(f'Error: {message}', file=sys.stderr, flush=True)
            sys.exit(1)
        finally:
            try:
                _flush()
            except OSError:
                # Python would try once more at the end, and complain.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
