"""Convert an official checkpoint to the tensor names of this package.

The file is read without executing anything in it, renamed, and compared with
the model of a config: every tensor must be there with its shape, and none may
be left over. The result holds ``state_dict`` and ``meta`` (system, name and
SHA-256 of the source, class names of the config's data set); tools/test.py,
the demo and the inferencer take it, and so does a training, with
``--cfg-options load_from=out.pth``.

Take the ``*_official*.py`` config of the data set that the checkpoint was
trained on: data sets with as many classes cannot be told apart by the file.

Example:

    python tools/model_converters/convert_checkpoint.py official.pth out.pth \
        --config configs/sipmask/sipmask-memcnp_r50_official.py
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.compat.checkpoint import (
    CheckpointError,
    load_checkpoint_file,
)
from mmvis_memcnp.converters import KEY_MAPS, check_against, guess_system
from mmvis_memcnp.datasets.class_counts import sync_classes
from mmvis_memcnp.datasets.classes import name_of_list
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.ownership import check_file, new_file


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def find_system(names: Iterable[str], system: str | None) -> str:
    """The system that a checkpoint with tensors of these names is of.

    Args:
        names: official tensor names.
        system: a key of ``KEY_MAPS``; guessed from the names if None.

    Raises:
        ValueError: if the names are those of another system, or of none.
    """
    guessed = guess_system(names)
    if system is not None and guessed is not None and system != guessed:
        raise ValueError(f'its tensors are those of {guessed!r}, not of '
                         f'{system!r}: leave --system out')
    system = system or guessed
    if system is None:
        raise ValueError(
            'its tensors are of no known system '
            f'({", ".join(sorted(KEY_MAPS))}): pass --system if it is one')
    return system


def convert(source: Path, cfg: Config,
            system: str | None) -> tuple[dict, str]:
    """Read, rename and check a checkpoint.

    Args:
        source: official checkpoint.
        cfg: config of the model that it belongs to.
        system: a key of ``KEY_MAPS``; guessed from the names if None.

    Returns:
        A dict of ``state_dict`` and ``meta``, and what was done, a line a
        fact.

    Raises:
        ValueError: if system, checkpoint and config do not belong together.
    """
    official = load_checkpoint_file(source)['state_dict']
    system = find_system(official, system)
    key_map = KEY_MAPS[system]
    state = key_map.convert(official)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    if 'model' not in cfg:
        raise ValueError(f'{cfg.filename} has no model: pass a model config')
    classes = sync_classes(cfg)
    check_against(MODELS.build(cfg.model), state)
    meta: dict[str, Any] = dict(
        system=system, source=source.name, source_sha256=sha256(source))
    if classes is not None:
        meta['dataset_meta'] = dict(classes=classes)
    return dict(state_dict=state, meta=meta), summary(
        system, official, state, classes)


def summary(system: str, official: Mapping, state: Mapping,
            classes: tuple[str, ...] | None) -> str:
    """What became of the tensors of a checkpoint, a line a fact."""
    key_map = KEY_MAPS[system]
    joined = key_map.join(official)
    dropped = key_map.dropped(joined)
    kept = len(joined) - sum(dropped.values())
    added = {
        what: len(tensors) for what, tensors in key_map.added(
            {key_map.rename(name): value for name, value in joined.items()
             if key_map.why_ignored(name) is None}).items()}
    renamed = sum(name not in official for name in state)
    lines = [f'system: {system}',
             f'tensors kept: {kept} of {len(joined)}, '
             f'{renamed - sum(added.values())} of them under new names']
    if len(joined) < len(official):
        lines.insert(1, f'tensors joined: {len(official)} became '
                        f'{len(joined)}')
    lines += [f'tensors dropped: {count} ({what})'
              for what, count in dropped.items()]
    lines += [f'tensors added: {count} ({what})'
              for what, count in added.items()]
    if classes is None:
        lines.append('classes: the config names none')
    else:
        name = name_of_list(classes)
        lines.append(f'classes: {len(classes)}' +
                     (f', those of {name}' if name else ''))
    return '\n'.join(lines)


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='official checkpoint')
    parser.add_argument('target', type=Path, help='file to write')
    parser.add_argument(
        '--config', required=True, help='config of the model')
    parser.add_argument(
        '--system',
        choices=sorted(KEY_MAPS),
        help='official code base; guessed from the tensor names')
    add_config_options(parser, 'model.memory=None')
    add_overwrite_option(parser)
    return parser.parse_args(argv)


def main(argv: Iterable[str] | None = None) -> None:
    """Convert."""
    args = parse_args(argv)
    check_file(args.target, 'TARGET', args.overwrite, [args.source])
    try:
        cfg = preflight.load_config(args.config, args.cfg_options)
    except UserError as error:
        sys.exit(str(error))
    try:
        result, report = convert(args.source, cfg, args.system)
    except (CheckpointError, FileNotFoundError) as error:
        sys.exit(str(error))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f'{args.source} cannot be converted: {error}')
    with new_file(args.target, args.overwrite, 'TARGET') as name:
        torch.save(result, name)
    print(f'{sha256(args.source)}  {args.source}\n'
          f'{sha256(args.target)}  {args.target}\n{report}')


if __name__ == '__main__':
    run_tool(main)
