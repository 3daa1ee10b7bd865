"""The folder of a run: it can be written, and loses nothing."""
from __future__ import annotations

import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from ..engine.checkpoint_files import checkpoints, strangers
from ..errors import OutputError, UserError
from ..results.files import check_place
from ..results.ownership import is_own, record


def check_work_dir(cfg: Config, overwrite: bool) -> None:
    """Refuse a folder that takes no files or holds other checkpoints.

    Args:
        cfg: The config with its ``work_dir`` and ``resume``.
        overwrite: Whether the checkpoints of another training may be
            replaced. No other file is.

    Raises:
        OutputError: No files can be made in it, or it holds a file with the
            name of a checkpoint that no training made here.
        UserError: It holds checkpoints, and training starts from the
            beginning.
    """
    check_place(cfg.work_dir, '--work-dir')
    last = Path(cfg.work_dir) / 'last_checkpoint'
    if cfg.get('resume') and last.is_file():
        return
    folder, template = _place(cfg)
    others = strangers(cfg.work_dir, folder, template)
    if others:
        raise OutputError(
            f'{others[0]} would be replaced, but was not made by a training '
            'of this package, or was changed since: move it away, or give '
            'another --work-dir.')
    if not overwrite and (last.exists() or checkpoints(folder, template)):
        raise UserError(
            f'{cfg.work_dir} holds a training, whose checkpoints would be '
            'replaced: go on with --resume, start again with --overwrite, or '
            'give another --work-dir.')


def _place(cfg: Config) -> tuple[str, str | None]:
    """Folder and names of the checkpoints, as mmengine's hook has them."""
    hook = cfg.get('default_hooks', {}).get('checkpoint') or {}
    folder = cfg.work_dir
    if hook.get('out_dir') is not None:
        folder = osp.join(hook['out_dir'], Path(folder).name)
    return folder, hook.get('filename_tmpl')


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
