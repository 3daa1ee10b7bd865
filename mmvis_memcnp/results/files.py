"""Files and folders that appear whole or not at all.

The one atomic writer of the package; imports neither torch nor mmdet.
"""
import errno
import glob
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ..errors import OutputError

try:
    import fcntl
except ImportError:  # no Unix: what a kill leaves is not cleared
    fcntl = None  # type: ignore[assignment]

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM until the block ends.

    In other threads than the main one, which never see signals, it does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    former = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        # None: it was not set by Python and could not be put back.
        if signal.getsignal(number) is not None:
            former[number] = signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for caught_number in caught:
            signal.raise_signal(caught_number)


@contextmanager
def replacing(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """A temporary name beside ``path`` that becomes ``path`` on success.

    A reader, or the next start after a kill, sees the former file or the new
    one. A link is followed: the file that it names is replaced. An existing
    file hands on its permissions.

    Args:
        path (str | Path): The file to be; its folder is made if needed.
        durable (bool): Whether the bytes are on the disk before the name is;
            False is faster and safe against a kill, not a power failure.
            Defaults to True.

    Yields:
        Path: Where to write, with the same suffix. It is removed if the block
        raises.

    Raises:
        OutputError: If ``path`` is no ordinary file or the disk is full.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OutputError(f'{path} is no ordinary file and is left as it is: '
                          'give another name.')
    path.parent.mkdir(parents=True, exist_ok=True)
    claim: tuple[Path, int] | None = None
    try:
        with undisturbed():
            claim = _claim(path)
        yield claim[0]
        if durable:
            _flush(claim[0])
        if path.exists():
            shutil.copymode(path, claim[0])
        os.replace(claim[0], path)
    except OSError as error:
        if error.errno in _FULL:
            raise OutputError(f'{path} cannot be written: '
                              f'{error.strerror}.') from error
        raise
    finally:
        if claim is not None:
            with undisturbed():
                claim[0].unlink(missing_ok=True)
                os.close(claim[1])


@contextmanager
def work_folder(parent: str | Path, name: str = '') -> Iterator[Path]:
    """A hidden folder that is gone at the end of the block.

    Args:
        parent (str | Path): Folder that it lies in, made if needed; what was
            made goes again if it stays empty.
        name (str): Says whose it is. What a killed run of the same name left
            is cleared. Defaults to ''.

    Yields:
        Path: The folder ``.<name>.unfinished``.
    """
    path = Path(os.path.realpath(parent)) / (name or 'outputs')
    new = [p for p in path.parents if not p.exists()]
    claim: tuple[Path, int] | None = None
    try:
        with undisturbed():
            path.parent.mkdir(parents=True, exist_ok=True)
            claim = _claim(path, folder=True)
        yield claim[0]
    finally:
        with undisturbed():
            if claim is not None:
                shutil.rmtree(claim[0], ignore_errors=True)
                os.close(claim[1])
            with suppress(OSError):
                for folder in new:
                    folder.rmdir()


def check_place(folder: str | Path, option: str) -> None:
    """Find out now whether files can be made in a folder later.

    Args:
        folder (str | Path): May be missing, as may its parents; nothing is
            made.
        option (str): What named it, for the message.

    Raises:
        OutputError: If it, or what should hold it, is a file, or does not
            take new files.
    """
    real = Path(os.path.realpath(folder))
    there = next(p for p in (real, *real.parents) if p.exists())
    if not there.is_dir():
        raise OutputError(f'{folder} cannot hold outputs, since {there} is a '
                          f'file: give {option} another folder.')
    try:
        # Permissions alone do not tell: root may do all, but not in /proc.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OutputError(
            f'{folder} cannot hold outputs: {there} takes no new files '
            f'({error.strerror}); give {option} another folder.') from error


def _claim(path: Path, folder: bool = False) -> tuple[Path, int]:
    """Make a temporary neighbour; its lock tells others that it is alive.

    Returns:
        The name, and the descriptor that holds the lock.
    """
    infix = ''
    # Long names: there is room for 255 bytes.
    start = f'.{path.stem[:60]}.unfinished'
    # Of several that worked side by side all but one have an infix.
    for left in path.parent.glob(f'{glob.escape(start)}-*'):
        if left.name[len(start):].removesuffix(path.suffix)[1:].isalnum():
            _clear_left_over(left)
    while True:
        name = path.with_name(f'{start}{infix}{path.suffix}')
        try:
            if folder:
                os.mkdir(name)
                handle = os.open(name, os.O_RDONLY)
            else:
                handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL,
                                 0o666)
        except FileExistsError:
            if not _clear_left_over(name):
                infix = f'-{secrets.token_hex(4)}'
            continue
        if _lock(handle) is not False and _is_at(handle, name):
            return name, handle
        os.close(handle)  # another process took it for a left-over


def _clear_left_over(name: Path) -> bool:
    """Remove what a killed process left; False if its owner is alive."""
    try:
        handle = os.open(name, os.O_RDONLY | getattr(os, 'O_NOFOLLOW', 0))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not _lock(handle) or not _is_at(handle, name):
            return False
        if name.is_dir():
            shutil.rmtree(name, ignore_errors=True)
        else:
            name.unlink(missing_ok=True)
        return not name.exists()
    finally:
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Whether nobody else holds it; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(handle: int, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(name))
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
