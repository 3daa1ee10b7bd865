"""Checkpoints that a kill at any moment leaves whole."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, join_path, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..errors import UserError
from ..results.files import replacing
from ..results.ownership import record
from .checkpoint_files import adopt


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """Local files that appear whole or not at all.

    A reader, or the next start after a kill, sees the former file or the new
    one: see :func:`~mmvis_memcnp.results.files.replacing`. They are noted as
    our own: see :mod:`~mmvis_memcnp.results.ownership`.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Args:
            obj: The content.
            filepath: Where; missing folders are made.
        """
        real = Path(os.path.realpath(filepath))
        with replacing(real) as path:
            path.write_bytes(obj)
            # First the note: until the name is given it fits no file.
            record(real.parent, [real], [path])

    def put_text(self,
                 obj: str,
                 filepath: str | Path,
                 encoding: str = 'utf-8') -> None:
        """Write text.

        Args:
            obj: The content.
            filepath: Where; missing folders are made.
            encoding: Encoding of the file.
        """
        self.put(obj.encode(encoding), filepath)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, safe against a kill while it saves.

    The checkpoint is written first, then ``last_checkpoint`` names it, and
    only then does an outdated one go, so that ``--resume`` finds a whole
    checkpoint at any moment. The same holds for the best by a score, and a
    best one of another folder, from which a training was resumed, stays.

    Args:
        args, kwargs: Those of mmengine's ``CheckpointHook``; without
            ``backend_args`` the files are written by
            :class:`AtomicLocalBackend`.
    """

    backend_args: dict | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.backend_args is None and self.file_client_args is None:
            self.backend_args = dict(backend='atomic_local')

    def before_train(self, runner: Runner) -> None:
        """Refuse to save between the parts of an accumulated step.

        Args:
            runner: The runner.

        Raises:
            UserError: ``interval`` would save while gradients are gathered,
                which a checkpoint does not hold.
        """
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if not self.by_epoch and self.interval > 0 and self.interval % counts:
            raise UserError(
                f'The checkpoint interval of {self.interval} iterations is '
                f'not a multiple of accumulative_counts={counts}: such a '
                'checkpoint would lose gathered gradients; change the '
                'interval.')
        super().before_train(runner)
        if is_main_process():
            adopt(runner.work_dir, self.out_dir, self.filename_tmpl)
        here = os.path.realpath(self.out_dir)
        self._set_best({
            key: path for key, path in self._best().items()
            if path and os.path.realpath(os.path.dirname(path)) == here})

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        # mmengine removes the former one before it writes the new one.
        former = self._best()
        self._set_best({})
        super()._save_best_checkpoint(runner, metrics)
        found = self._best()
        self._set_best({key: found[key] or path
                        for key, path in former.items()})
        for key, path in former.items():
            if (path and found[key] and path != found[key]
                    and is_main_process() and self.file_backend.isfile(path)):
                self.file_backend.remove(path)

    def _best(self) -> dict[str, str | None]:
        """Paths of the best checkpoints by their score, '' if it is alone."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return {key: self.best_ckpt_path_dict.get(key)
                for key in self.key_indicators}

    def _set_best(self, paths: dict[str, str | None]) -> None:
        """Note the best checkpoints; scores that are not named have none."""
        if not self.save_best:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths.get('')
        else:
            self.best_ckpt_path_dict = {
                key: paths.get(key) for key in self.key_indicators}

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict) -> None:
        outdated = self._keep(runner, step)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if not is_main_process():
            return
        AtomicLocalBackend().put_text(
            self.last_ckpt, Path(runner.work_dir) / 'last_checkpoint')
        for old in outdated:
            if self.file_backend.isfile(old):
                self.file_backend.remove(old)

    def _path(self, step: int) -> str:
        return join_path(
            self.out_dir,
            self.filename_tmpl.format(step),
            backend_args=self.backend_args)

    def _keep(self, runner: Runner, step: int) -> list[str]:
        """Note a new checkpoint; returns the paths that it makes outdated."""
        # A best score saves the checkpoint of the same step once more.
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = [self._path(self.keep_ckpt_ids.popleft())] if full else []
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids',
                                       list(self.keep_ckpt_ids))
        return outdated
