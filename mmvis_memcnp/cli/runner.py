"""mmengine's runner, whose log begins with what a user needs to know."""
from __future__ import annotations

import logging
import os.path as osp
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.runner import Runner

from ..datasets.class_counts import config_dicts, innermost_datasets
from ..datasets.classes import dataset_classes
from .allocator import keep_freed_memory

# Messages of mmengine that are pages long or say nothing; the log file has
# them.
_PAGES = ('\n------', 'Config:\n', 'Hooks will be executed in the following',
          'Distributed training is not used, all SyncBatchNorm')


class ToolRunner(Runner):
    """What the tools run.

    The log begins with config, data, classes, weights, device and places.
    Versions, the whole config and the order of the hooks are in the log file
    alone, behind that.
    """
    #: Data loaders that are used.
    loaders: tuple[str, ...] = ()

    def _log_env(self, env_cfg: dict) -> None:
        lines = [f'{name:9}{value}' for name, value in self._facts()]
        self.logger.info('\n'.join([type(self).__name__, *lines]))
        for handler in self.logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_no_page)
        super()._log_env(env_cfg)

    def _facts(self) -> Iterator[tuple[str, str]]:
        cfg = self.cfg
        yield 'config', cfg.filename or self.experiment_name
        classes: tuple[str, ...] | None = None
        for loader in self.loaders:
            dataset = (cfg.get(loader) or {}).get('dataset')
            part = loader.removesuffix('_dataloader')
            for inner in innermost_datasets(dataset):
                yield 'data', f'{part}: {_place(inner)}'
            if dataset and classes is None:
                classes = dataset_classes(dataset)
        if classes is not None:
            more = ', ...' if len(classes) > 8 else ''
            yield 'classes', f'{len(classes)}: {", ".join(classes[:8])}{more}'
        yield 'weights', _weights(cfg)
        yield 'device', _device(self.world_size)
        yield from self._plan()
        yield 'outputs', self.work_dir
        for handler in self.logger.handlers:
            if isinstance(handler, logging.FileHandler):
                yield 'log', (f'{handler.baseFilename} (also versions, the '
                              'whole config, hooks)')

    def _plan(self) -> Iterator[tuple[str, str]]:
        """How long it is."""
        yield from ()


class Training(ToolRunner):
    """A training; ``env_cfg.keep_freed_memory`` is that of
    :func:`keep_freed_memory`."""
    loaders = ('train_dataloader', 'val_dataloader')

    def setup_env(self, env_cfg: dict) -> None:
        """Also sets how memory is handed out, before any worker starts.

        Args:
            env_cfg (dict): ``keep_freed_memory`` and what mmengine takes.
        """
        if env_cfg.get('keep_freed_memory'):
            keep_freed_memory()
        super().setup_env(env_cfg)

    def _plan(self) -> Iterator[tuple[str, str]]:
        """See :meth:`ToolRunner._plan`."""
        plan = self.cfg.train_cfg
        length = (f'{plan["max_iters"]} iterations' if plan.get('max_iters')
                  else f'{plan.get("max_epochs")} epochs')
        batch = self.cfg.train_dataloader.get('batch_size')
        clips = f', {batch} clips a process and iteration' if batch else ''
        yield 'schedule', f'{length}{clips}'


class Test(ToolRunner):
    """A test."""
    loaders = ('test_dataloader', )


def _no_page(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_PAGES)


def _place(dataset: dict) -> str:
    """Where the annotations or else the frames of a data set lie."""
    path = str(dataset.get('ann_file') or '')
    if '://' in path or osp.isabs(path):
        return path
    return osp.join(dataset.get('data_root') or '', path) or dataset['type']


def _weights(cfg: Any) -> str:
    """What the weights are, or start from."""
    for hook in cfg.get('custom_hooks') or ():
        if hook['type'] == 'ExportedNetworkHook':
            return hook['path']
    if cfg.get('load_from') is not None:
        return f'{cfg.load_from}{" (resumed)" if cfg.get("resume") else ""}'
    starts = [part['init_cfg']['checkpoint']
              for part in config_dicts(cfg.get('model'))
              if isinstance(part.get('init_cfg'), dict)
              and part['init_cfg'].get('type') == 'Pretrained']
    return ', '.join(starts) or 'initial values'


def _device(processes: int) -> str:
    kind = get_device()
    name = (f'{kind} ({torch.cuda.get_device_name()})' if kind == 'cuda'
            else kind)
    return name if processes == 1 else f'{name}, {processes} processes'
