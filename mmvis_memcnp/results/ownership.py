"""What of the files in a folder was made here, and may be replaced.

A folder with outputs has the small file ``.mmvis_outputs``: a line a file,
with its size and time of change when it was made. A file that is not listed,
or was changed since, is the user's; nothing here replaces or removes it.
Imports neither torch nor mmdet.
"""
import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError
from .files import check_place, replacing, undisturbed, work_folder

MARKER = '.mmvis_outputs'
# Letters of a folder's name in that of the former one.
_NAME = 60


def check_file(path: str | Path,
               option: str = 'it',
               overwrite: bool = False,
               inputs: Iterable[str | Path] = ()) -> None:
    """Find out now whether a file may be written later.

    Args:
        path (str | Path): The file to be; its folder may be missing.
        option (str): What named it, for the message. Defaults to 'it'.
        overwrite (bool): Whether a file that was made here may be replaced.
            Defaults to False.
        inputs (Iterable[str | Path]): Files that are read, which must stay;
            what does not exist is passed over. Defaults to ().

    Raises:
        OutputError: If it is a folder, an input or no ordinary file, if it
            exists and was not made here or ``overwrite`` is not set, or if
            its folder takes no new files.
    """
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise OutputError(f'{path} is a folder: give {option} the name of a '
                          'file.')
    if real.exists():
        if any(_same(real, Path(source)) for source in inputs):
            raise OutputError(f'{path} is read and would be overwritten: '
                              f'give {option} another name.')
        if not real.is_file():
            raise OutputError(f'{path} is no ordinary file and is left as it '
                              f'is: give {option} another name.')
        if not is_own(real):
            raise OutputError(
                f'{path} exists and was not made by this package, or was '
                'changed since, so it is left as it is: move it away, or '
                f'give {option} another name.')
        if not overwrite:
            how = 'overwrite=True' if option == 'it' else '--overwrite'
            raise OutputError(f'{path} exists: replace it with {how}, '
                              f'or give {option} another name.')
    check_place(real.parent, option)


def check_folder(path: str | Path,
                 option: str = 'it',
                 overwrite: bool = False,
                 inputs: Iterable[str | Path] = ()) -> None:
    """Find out now whether a folder may be made, or replaced, later.

    A folder that a kill left without its name, while it was replaced, gets
    the name back.

    Args:
        path (str | Path): The folder to be; missing or empty is best.
        option (str): What named it, for the message. Defaults to 'it'.
        overwrite (bool): Whether a folder of which every file was made here
            may be replaced. Defaults to False.
        inputs (Iterable[str | Path]): Files that are read and must not lie
            in it. Defaults to ().

    Raises:
        OutputError: If it is a file, holds an input or anything that was not
            made here, holds something and ``overwrite`` is not set, or cannot
            be made.
    """
    real = Path(os.path.realpath(path))
    _recover(real)
    for source in inputs:
        if real in Path(os.path.realpath(source)).parents:
            raise OutputError(f'{source} is read and lies in {path}, which '
                              f'would be replaced: give {option} another '
                              'folder.')
    if real.exists() and not real.is_dir():
        raise OutputError(f'{path} is a file: give {option} the name of a '
                          'folder.')
    if real.is_dir() and any(real.iterdir()):
        alien = next(strangers(real), None)
        if alien is not None:
            raise OutputError(
                f'{path} is not empty and {alien} in it was not made by this '
                'package, or was changed since, so all is left as it is: '
                f'give {option} another folder.')
        if not overwrite:
            raise OutputError(f'{path} is not empty: replace it with '
                              f'--overwrite, or give {option} another '
                              'folder.')
    check_place(real, option)
    check_place(real.parent, option)


def is_own(path: Path) -> bool:
    """Whether a file was made here and not changed since."""
    return _print_of(path) in _records(path.parent).get(path.name, ())


def is_noted(path: Path) -> bool:
    """Whether a file of this name was made here, changed since or not."""
    return path.name in _records(path.parent)


def strangers(folder: Path) -> Iterator[str]:
    """Names of the files below a folder that were not made with it.

    A folder inside that holds nothing is one, too.
    """
    records = _records(folder)
    for root, folders, files in os.walk(folder):
        below = Path(root)
        own = _records(below)
        # Links to folders are listed as folders, but are not walked into.
        links = [f for f in folders if (below / f).is_symlink()]
        for name in (*files, *links):
            path = below / name
            relative = path.relative_to(folder).as_posix()
            if name != MARKER and (
                    path.is_symlink() or _print_of(path) not in
                    (*records.get(relative, ()), *own.get(name, ()))):
                yield relative
        if not files and not folders and below != folder:
            yield below.relative_to(folder).as_posix()


def record(folder: Path, files: Sequence[Path],
           now: Sequence[Path] = ()) -> None:
    """Note that files were made here.

    Args:
        folder (Path): Folder that gets the note.
        files (Sequence[Path]): Their paths, in or below it.
        now (Sequence[Path]): Where they lie until they are renamed, which
            changes neither size nor time. Defaults to ``files``.
    """
    lines = [json.dumps(dict(file=path.relative_to(folder).as_posix(),
                             print=_print_of(there)))
             for path, there in zip(files, now or files, strict=True)]
    # One call, so that several processes do not mix their lines. Without the
    # note a file counts as the user's, which is safe.
    with suppress(OSError):
        handle = os.open(folder / MARKER,
                         os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, ('\n'.join(lines) + '\n').encode())
        finally:
            os.close(handle)


@contextmanager
def new_file(path: str | Path,
             overwrite: bool = False,
             option: str = 'it',
             durable: bool = True) -> Iterator[Path]:
    """Write a file that becomes one of our own.

    Args:
        path (str | Path): See :func:`check_file`, whose rules are applied
            before the block and again before the file takes its name.
        overwrite (bool): See there. Defaults to False.
        option (str): See there. Defaults to 'it'.
        durable (bool): See :func:`replacing`. Defaults to True.

    Yields:
        Path: Where to write.

    Raises:
        OutputError: See :func:`check_file`.
    """
    check_file(path, option, overwrite)
    real = Path(os.path.realpath(path))
    with replacing(real, durable) as temporary:
        yield temporary
        check_file(path, option, overwrite)
        # First the note: until the name is given it fits no file.
        record(real.parent, [real], [temporary])


@contextmanager
def new_folder(path: str | Path,
               overwrite: bool = False,
               option: str = 'it') -> Iterator[Path]:
    """Fill a folder that becomes one of our own.

    Args:
        path (str | Path): See :func:`check_folder`, whose rules are applied
            before the block and again before the folder takes its name.
        overwrite (bool): See there. Defaults to False.
        option (str): See there. Defaults to 'it'.

    Yields:
        Path: Where to write.

    Raises:
        OutputError: See :func:`check_folder`.
    """
    check_folder(path, option, overwrite)
    real = Path(os.path.realpath(path))
    with work_folder(real.parent, real.name) as work:
        made = work / real.name
        made.mkdir()
        yield made
        check_folder(path, option, overwrite)
        put_in_place(made, real)


def put_in_place(source: Path, target: Path) -> None:
    """Give a finished file or folder its name, as one of our own.

    Args:
        source (Path): Of the same file system.
        target (Path): A real path that passed :func:`check_file` or
            :func:`check_folder`.
    """
    with undisturbed():
        if not source.is_dir():
            record(target.parent, [target], [source])
            os.replace(source, target)
            return
        files = [p for p in source.rglob('*') if p.is_file()]
        record(source, sorted(files))
        old = None
        if target.exists():
            shutil.copymode(target, source)
            if any(target.iterdir()):
                old = target.with_name(
                    f'.{target.name[:_NAME]}.old-{secrets.token_hex(4)}')
                os.rename(target, old)
        try:
            os.replace(source, target)
        except OSError:
            if old is not None:
                os.rename(old, target)
            raise
        if old is not None:
            # Where a kill leaves what the next start clears.
            os.rename(old, source)
            shutil.rmtree(source)


def _recover(folder: Path) -> None:
    """Put back, or clear, what a kill within :func:`put_in_place` left."""
    if len(folder.name) > _NAME:  # cut off, so it may be another's
        return
    pattern = f'{glob.escape(f".{folder.name}.old-")}{"[0-9a-f]" * 8}'
    for old in folder.parent.glob(pattern):
        if not folder.exists() or folder.is_dir() and not any(
                folder.iterdir()):
            os.replace(old, folder)
        elif next(strangers(old), None) is None:
            shutil.rmtree(old)


def remove_own(path: Path) -> None:
    """Remove a file if it was made here; leave it otherwise."""
    if path.is_file() and is_own(path):
        path.unlink()


def _print_of(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of change in nanoseconds."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _records(folder: Path) -> dict[str, set[tuple[int, int]]]:
    """All that was noted for each file.

    Not the last note alone: after a kill it may be of a file that was never
    put in the place of the one before.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    try:
        text = (folder / MARKER).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError):
        return found
    for line in text.splitlines():
        # A line that was cut off notes nothing.
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            size, time = entry['print']
            found.setdefault(entry['file'], set()).add((int(size), int(time)))
    return found


def _same(path: Path, source: Path) -> bool:
    return source.exists() and path.samefile(source)
