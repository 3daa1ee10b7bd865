"""The folder of a run: it can be written, and loses nothing."""
from __future__ import annotations

import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from ..errors import UserError
from ..results.files import check_place
from ..results.ownership import is_own, record


def check_work_dir(cfg: Config, overwrite: bool = True) -> None:
    """Refuse a folder that takes no files or holds another training.

    Args:
        cfg: The config with its ``work_dir``, ``resume`` and ``launcher``.
        overwrite: Whether the checkpoints of another training may be
            replaced. Defaults to True.

    Raises:
        OutputError: No files can be made in it.
        UserError: It holds checkpoints, and training starts from the
            beginning.
    """
    check_place(cfg.work_dir, '--work-dir')
    note = Path(cfg.work_dir) / 'last_checkpoint'
    if note.is_file() and not (cfg.get('resume') or overwrite):
        raise UserError(
            f'{cfg.work_dir} holds a training, whose checkpoints would be '
            'replaced: go on with --resume, start again with --overwrite, or '
            'give another --work-dir.')


@contextmanager
def config_kept(cfg: Config) -> Iterator[None]:
    """Build the runner of a config, which leaves the user's configs alone.

    mmengine writes the config into the work dir under the name of its file,
    whatever has that name there. What was not written by an earlier run, or
    is the very file that was read, stays; the copy is named by the time then.

    Args:
        cfg: The config with its ``work_dir``, from which the runner is built
            in the block.
    """
    copy = None
    if cfg.filename is not None:
        copy = Path(cfg.work_dir) / osp.basename(cfg.filename)
        if copy.exists() and (not is_own(copy) or copy.samefile(cfg.filename)):
            copy = None
            # The way in which Config sets it; there is no public one.
            object.__setattr__(cfg, '_filename', None)
    yield
    if copy is not None and copy.is_file() and is_main_process():
        record(copy.parent, [copy])
