"""What the tools check before anything is written."""
from __future__ import annotations

import argparse
import copy
import difflib
import os
import os.path as osp
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ..compat.checkpoint import load_checkpoint_file
from ..datasets.class_counts import (
    config_dicts,
    innermost_datasets,
    saved_classes,
    sync_classes,
)
from ..deployment import OnnxNetwork
from ..errors import UserError
from ..results.sigma_map import adopt_sigma_map

#: What mmengine's runner reads from a config, beside what the file has.
_RUNNER_KEYS = (
    'auto_scale_lr', 'custom_hooks', 'custom_imports', 'data_preprocessor',
    'default_hooks', 'default_scope', 'env_cfg', 'experiment_name',
    'launcher', 'load_from', 'log_level', 'log_processor', 'model',
    'optim_wrapper', 'param_scheduler', 'randomness', 'resume',
    'runner_type', 'test_cfg', 'test_dataloader', 'test_evaluator',
    'train_cfg', 'train_dataloader', 'val_cfg', 'val_dataloader',
    'val_evaluator', 'visualizer', 'work_dir')
_CONFIG_ENDINGS = ('.py', '.json', '.yaml', '.yml')


def load_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and apply overrides (:func:`apply_overrides`).

    Args:
        path: Path of the config.
        options: ``--cfg-options``: dotted key to value.

    Returns:
        The config; its ``custom_imports`` have been imported.

    Raises:
        UserError: The file does not exist or cannot be read as a config.
    """
    if not osp.isfile(path):
        raise UserError(f'There is no config at {path}: give the path of a '
                        'file in configs/.')
    if not path.endswith(_CONFIG_ENDINGS):
        raise UserError(f'{path} is no config, whose name ends with one of '
                        f'{", ".join(_CONFIG_ENDINGS)}: give the path of a '
                        'file in configs/.')
    try:
        cfg = Config.fromfile(path)
        if options:
            apply_overrides(cfg, options)
    except UserError:
        raise
    except Exception as error:  # a config is a program and can raise anything
        reason = ' '.join(str(error).split())
        raise UserError(f'The config {path} cannot be read: '
                        f'{type(error).__name__}: {reason}') from error
    _fit_workers(cfg)
    return cfg


def _fit_workers(cfg: Config) -> None:
    """Leave out options of workers where a data loader has none."""
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            # PyTorch refuses both.
            loader.pop('persistent_workers', None)
            loader.pop('prefetch_factor', None)


def apply_overrides(cfg: Config, options: Mapping[str, Any]) -> None:
    """Override values of a config.

    What a file gives alike to validation and test (``test_dataloader =
    val_dataloader``) stays alike: an override of ``val_dataloader.X`` or
    ``val_evaluator.X`` is one of ``test_dataloader.X`` or
    ``test_evaluator.X`` too, unless that key, or one inside or around it, is
    overridden itself.

    Args:
        cfg: The config, changed in place.
        options: Dotted key to value.

    Raises:
        UserError: If the first part of a key is none of the config's.
    """
    known = {*cfg, *_RUNNER_KEYS}
    for key in options:
        root = key.split('.')[0]
        if root not in known:
            near = difflib.get_close_matches(root, known, 1)
            raise UserError(
                f'The config has no {root!r}, so {key} would change nothing'
                + (f': is {near[0]!r} meant?' if near else '.'))
    cfg.merge_from_dict(_with_test_part(cfg, dict(options)))


def _with_test_part(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Overrides, with those that the test part shares with validation."""
    shared: dict[str, Any] = {}
    for part in ('dataloader', 'evaluator'):
        if not cfg.get(f'val_{part}') or \
                cfg.get(f'test_{part}') != cfg.get(f'val_{part}'):
            continue
        for key, value in options.items():
            # Without validation there still is a test.
            off = value is None and key == f'val_{part}'
            if f'{key}.'.startswith(f'val_{part}.') and not off:
                same = f'test_{key.removeprefix("val_")}'
                if not any(f'{same}.'.startswith(f'{other}.')
                           or other.startswith(f'{same}.')
                           for other in options):
                    shared[same] = copy.deepcopy(value)
    return {**options, **shared}


def check_parts(cfg: Config, path: str | None, *parts: str) -> None:
    """Refuse a config that lacks what a tool needs.

    Args:
        cfg: The config.
        path: Its file, for the message; None if it is from none.
        parts: Keys that must be there and not None.

    Raises:
        UserError: A part is missing.
    """
    missing = [part for part in parts if cfg.get(part) is None]
    if missing:
        raise UserError(
            f'The config {path or "given"} has no {", ".join(missing)}: '
            'give a config of a folder of configs/ that has them; those of '
            'configs/_base_ are parts, and those of COCO (*_coco*.py) are for '
            'training alone.')


def set_work_dir(cfg: Config, config_path: str, work_dir: str | None) -> None:
    """Choose the folder of logs and checkpoints.

    Args:
        cfg: The config, changed in place.
        config_path: Its file, whose stem names the default.
        work_dir: The command line's choice, which comes first.
    """
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', Path(config_path).stem)


def set_results_folder(cfg: Config, *evaluators: str) -> None:
    """Let submissions that no option names lie in the folder of the run.

    Args:
        cfg: The config with its ``work_dir``, changed in place.
        evaluators: Keys of evaluators, which may be absent.
    """
    for evaluator in evaluators:
        for metric in metrics(cfg, evaluator):
            metric['work_dir'] = cfg.work_dir


def let_overwrite(cfg: Config, overwrite: bool, *evaluators: str) -> None:
    """Say whether results files of an earlier run may be replaced.

    Args:
        cfg: The config, changed in place.
        overwrite: Whether they may.
        evaluators: Keys of evaluators, which may be absent.
    """
    for evaluator in evaluators:
        for metric in metrics(cfg, evaluator):
            metric['overwrite'] = overwrite


def metrics(cfg: Config, evaluator: str) -> Iterator[dict]:
    """The configs of the metrics that know of tracks and ground truth.

    Args:
        cfg: The config.
        evaluator: Key of the evaluator, which may be absent.

    Yields:
        Configs of ``VISMetric`` that may be changed in place.
    """
    found = cfg.get(evaluator) or []
    for metric in [found] if isinstance(found, dict) else found:
        if metric.get('type') == 'VISMetric':
            yield metric


def check_checkpoint_path(path: str, option: str) -> None:
    """Refuse a local checkpoint that does not exist.

    Args:
        path: Local path or address.
        option: What names it, for the message.

    Raises:
        UserError: There is no such file.
    """
    if '://' not in path and not osp.isfile(osp.expanduser(path)):
        raise UserError(f'There is no checkpoint at {path}: correct {option}.')


def datasets(cfg: Config, loader: str) -> Iterator[dict]:
    """The innermost dataset configs of a data loader, under any wrappers.

    Args:
        cfg: The config.
        loader: Key of the data loader, which may be absent.

    Yields:
        Configs that may be changed in place.
    """
    yield from innermost_datasets((cfg.get(loader) or {}).get('dataset'))


def check_annotations(cfg: Config, *loaders: str) -> None:
    """Refuse annotation files that do not exist.

    Args:
        cfg: The config.
        loaders: Keys of data loaders, which may be absent.

    Raises:
        UserError: A file is missing.
    """
    for loader in loaders:
        for dataset in datasets(cfg, loader):
            path = dataset.get('ann_file')
            if not isinstance(path, str) or not path or '://' in path:
                continue
            if not osp.isabs(path):
                path = osp.join(dataset.get('data_root') or '', path)
            if not osp.isfile(path):
                raise UserError(
                    f'There is no annotation file at {path}: correct ann_file '
                    f'or data_root of {loader}.dataset.')


def set_test_checkpoint(cfg: Config, path: str,
                        backend: str = 'torch') -> None:
    """Let a test run with a checkpoint.

    The model then has its classes and, unless the config says one, its map of
    standard deviations.

    Args:
        cfg: The config, changed in place.
        path: Local path or address; of an address neither is read.
        backend: ``'onnx'``: the path is that of an exported network.

    Raises:
        UserError: There is no such file, or no annotation file.
        CheckpointError: It is damaged or unsafe.
    """
    if backend == 'torch':
        check_checkpoint_path(path, 'the path')
    check_annotations(cfg, 'test_dataloader')
    saved: dict = {}
    if backend == 'onnx':
        saved = OnnxNetwork(path).checkpoint
    elif '://' not in path:
        saved = load_checkpoint_file(osp.expanduser(path))
    sync_classes(cfg, saved_classes(saved))
    adopt_sigma_map(cfg, saved)
    cfg.load_from, cfg.resume = path, False
    if backend == 'onnx':
        cfg.load_from = None
        add_hook(cfg, 'ExportedNetworkHook', path=path)
    else:
        add_hook(cfg, 'CheckpointCheckHook', strict=True)


def prepare_initial_weights(cfg: Config) -> None:
    """Refuse initial weights (``init_cfg``) that do not exist.

    A resumed training needs none: its checkpoint holds every weight.

    Args:
        cfg: The config; when it resumes, its model's initial weights are
            taken out.

    Raises:
        UserError: A file is missing.
    """
    for part in config_dicts(cfg.model):
        init = part.get('init_cfg')
        if not isinstance(init, dict) or init.get('type') != 'Pretrained':
            continue
        path = init['checkpoint']
        if cfg.get('resume'):
            part['init_cfg'] = None
        elif '://' not in path and not osp.isfile(osp.expanduser(path)):
            raise UserError(
                f'There are no initial weights at {path}: put the file there '
                '(the README beside the config says where it comes from), or '
                f'set init_cfg of {part.get("type", "the model")} to None to '
                'train from scratch.')


def enable_amp(cfg: Config) -> None:
    """Switch the optimiser to mixed precision.

    Args:
        cfg: The config, changed in place.

    Raises:
        UserError: There is no CUDA device, or the optimiser wrapper is a kind
            that has no mixed-precision form.
    """
    if not torch.cuda.is_available():
        raise UserError(
            '--amp needs a CUDA device and PyTorch sees none: train without '
            '--amp here, in single precision.')
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(
            f'--amp replaces OptimWrapper, but optim_wrapper.type is {kind}: '
            'set mixed precision in the config.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def set_randomness(cfg: Config, seed: int | None,
                   deterministic: bool) -> None:
    """Apply ``--seed`` and ``--deterministic``.

    Args:
        cfg: The config, changed in place.
        seed: In [0, 2**32), or None to keep the config's.
        deterministic: Whether to allow deterministic kernels only.

    Raises:
        UserError: The seed is out of range.
    """
    randomness = dict(cfg.get('randomness') or dict(seed=None))
    if seed is not None:
        if not 0 <= seed < 2**32:
            raise UserError(f'--seed must lie in [0, 2**32), got {seed}.')
        randomness['seed'] = seed
    if deterministic:
        randomness['deterministic'] = True
        # cuBLAS reads it when the first CUDA context is made.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    cfg.randomness = randomness


def add_hook(cfg: Config, kind: str, **kwargs: Any) -> None:
    """Add a hook to the config, unless the config has one of this type.

    Args:
        cfg: The config, changed in place.
        kind: Registered name.
        kwargs: Its arguments.
    """
    hooks = list(cfg.get('custom_hooks') or [])
    if all(hook.get('type') != kind for hook in hooks):
        hooks.append(dict(type=kind, **kwargs))
    cfg.custom_hooks = hooks


def add_launcher_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the launchers of several processes use.

    Args:
        parser: Parser of a tool.
    """
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (default: none, one process)')
    # The spelling depends on the version of torch.distributed.launch.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0,
        help=argparse.SUPPRESS)


def last_checkpoint(work_dir: str) -> str | None:
    """The newest checkpoint of a folder, for ``--resume`` without a path.

    Args:
        work_dir: Folder of a training; may have been moved since.

    Returns:
        Its path, or None if nothing was saved there yet.

    Raises:
        UserError: ``last_checkpoint`` is damaged or names a file that is
            gone.
    """
    note = Path(work_dir) / 'last_checkpoint'
    if not note.is_file():
        return None
    try:
        named = Path(note.read_text('utf-8').strip())
    except UnicodeDecodeError as error:
        raise UserError(f'{note} is damaged: give the path of a checkpoint '
                        'after --resume.') from error
    for path in (named, note.parent / named.name):
        if path.is_file():
            return str(path)
    raise UserError(f'{note} names {named}, which is gone: give the path of '
                    'a checkpoint after --resume.')
