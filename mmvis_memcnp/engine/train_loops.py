"""Training loops that resume exactly, also in the middle of an epoch.

mmengine's loops start an epoch anew on resume, or read again every batch of
the run so far. These start the sampler at the right place instead, and seed
the generators of every iteration from (seed, rank, iteration), so that a run
killed at any moment and resumed from its checkpoint gives the losses of the
uninterrupted run. What they need of a config::

    train_cfg = dict(type='ResumableIterTrainLoop', max_iters=..., ...)
    train_dataloader = dict(
        sampler=dict(type='ResumableSampler'), ...)
    default_hooks = dict(checkpoint=dict(type='AtomicCheckpointHook', ...))

Exact on a CUDA device only as far as its kernels are: use
``randomness=dict(deterministic=True)``.
"""
from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import LOOPS
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import BatchSampler, DataLoader

from ..errors import UserError
from .samplers import ResumableSampler
from .seeding import SeededDataset, derive_seed, seed_generators


def _resumable(dataloader: DataLoader | dict,
               infinite: bool) -> DataLoader | dict:
    """Complete a loader's config: seeded samples, a stream of its kind."""
    if not isinstance(dataloader, dict):
        if not isinstance(dataloader.dataset, SeededDataset):
            raise UserError(
                'The training loader was built without SeededDataset around '
                'its dataset, so its samples would not repeat on resume: '
                'wrap the dataset, or give the config of the loader.')
        return dataloader
    sampler = dataloader['sampler']
    if isinstance(sampler, dict) and sampler['type'] == 'ResumableSampler':
        sampler = {**sampler, 'infinite': infinite}
    dataset = dict(type=SeededDataset, dataset=dataloader['dataset'])
    return {**dataloader, 'dataset': dataset, 'sampler': sampler}


def _check_loader(loader: DataLoader, infinite: bool) -> ResumableSampler:
    """The sampler of a loader that can be started in the middle."""
    sampler = loader.sampler
    if not isinstance(sampler, ResumableSampler):
        raise UserError(
            f'train_dataloader.sampler is {type(sampler).__name__}, which '
            "cannot resume: use dict(type='ResumableSampler').")
    if sampler.infinite != infinite:
        raise UserError(
            'train_dataloader.sampler needs infinite='
            f'{infinite} for this kind of training loop.')
    if type(loader.batch_sampler) is not BatchSampler:
        raise UserError(
            'train_dataloader.batch_sampler is '
            f'{type(loader.batch_sampler).__name__}, whose place in the epoch '
            'cannot be restored: remove it.')
    if len(loader) == 0:
        raise UserError(
            f'The training dataset has {sampler.size} samples, too few for '
            f'one batch of {loader.batch_size} on each of '
            f'{sampler.world_size} processes: lower the batch size.')
    return sampler


class _ExactIterations:
    """What both loops share: the place in the stream, a seed an iteration."""

    runner: Runner
    dataloader: DataLoader
    _infinite: bool
    _iter: int

    def __init__(self, runner: Runner, dataloader: DataLoader | dict,
                 **kwargs: Any) -> None:
        super().__init__(  # type: ignore[call-arg]
            runner, _resumable(dataloader, self._infinite), **kwargs)
        self._sampler = _check_loader(self.dataloader, self._infinite)

    def _seek(self, iterations: int) -> None:
        """Start the next pass of the loader after so many batches."""
        self._sampler.seek(iterations * (self.dataloader.batch_size or 1))

    def _base_seed(self) -> int:
        """Seed of the run, the same on every rank.

        Read anew each time: resuming takes over the checkpoint's seed after
        the loader was built.
        """
        seed = self.runner.seed
        if self.runner._randomness_cfg.get('diff_rank_seed', False):
            seed -= get_rank()
        return seed

    def _begin(self) -> None:
        """Take over what a checkpoint brought, and say what does not fit."""
        self._sampler.seed = self._base_seed()
        hub = self.runner.message_hub
        now = (self.dataloader.batch_size or 1) * get_world_size()
        before = hub.get_info('samples_per_iter')
        if self._iter > 0 and before not in (None, now):
            self.runner.logger.warning(
                f'Resuming with {now} samples an iteration, the checkpoint '
                f'was trained with {before}: the run goes on, but not with '
                'the samples and losses of an uninterrupted one.')
        hub.update_info('samples_per_iter', now)

    def run_iter(self, *args: Any) -> None:
        """One step, with generators seeded by (seed, rank, iteration)."""
        seed_generators(
            derive_seed(self._base_seed(), 0, get_rank(), self._iter))
        super().run_iter(*args)  # type: ignore[misc]


@LOOPS.register_module()
class ResumableIterTrainLoop(_ExactIterations, IterBasedTrainLoop):
    """Iteration-based training that resumes exactly and at once.

    Args:
        runner: The runner.
        dataloader: Loader with an infinite :class:`ResumableSampler`, or a
            config with one, which is made infinite.
        kwargs: ``max_iters``, ``val_begin``, ``val_interval``,
            ``dynamic_intervals`` of mmengine's ``IterBasedTrainLoop``.

    Raises:
        UserError: The loader cannot be resumed.
    """

    _infinite = True

    def run(self) -> torch.nn.Module:
        """Train; the same order of hooks as mmengine's loop."""
        runner = self.runner
        self._begin()
        if self._iter > 0:
            # The iterator made with the loop has begun to read from the
            # start, perhaps with another seed.
            self._seek(self._iter)
            self.dataloader_iterator = _InfiniteDataloaderIterator(
                self.dataloader)
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        while self._iter < self._max_iters and not self.stop_training:
            runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if (runner.val_loop is not None and self._iter >= self.val_begin
                    and (self._iter % self.val_interval == 0
                         or self._iter == self._max_iters)):
                runner.val_loop.run()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model


@LOOPS.register_module()
class ResumableEpochTrainLoop(_ExactIterations, EpochBasedTrainLoop):
    """Epoch-based training that resumes exactly, also within an epoch.

    Args:
        runner: The runner.
        dataloader: Loader with a finite :class:`ResumableSampler`, or a
            config with one, which is made finite.
        kwargs: ``max_epochs``, ``val_begin``, ``val_interval``,
            ``dynamic_intervals`` of mmengine's ``EpochBasedTrainLoop``.

    Raises:
        UserError: The loader cannot be resumed.
    """

    _infinite = False

    def run(self) -> torch.nn.Module:
        """Train."""
        self._begin()
        return super().run()

    def run_epoch(self) -> None:
        """One epoch, or what is left of it after a resume."""
        done = self._iter - self._epoch * len(self.dataloader)
        if not 0 <= done <= len(self.dataloader):
            raise UserError(
                f'The checkpoint is at epoch {self._epoch}, iteration '
                f'{self._iter}, which does not fit epochs of '
                f'{len(self.dataloader)} iterations: resume with the batch '
                'size, number of processes and dataset it was trained with.')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self._seek(done)
        for idx, data_batch in enumerate(self.dataloader, done):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
