"""Convert an official checkpoint to the tensor names of this package.

The file is read without executing anything in it, renamed, and compared with
the model of a config: every tensor must be there with its shape, and none may
be left over. The result holds ``state_dict`` and ``meta`` (system, name and
SHA-256 of the source); --load-from, tools/test.py and the inferencer take it.

Example:

    python tools/model_converters/convert_checkpoint.py official.pth out.pth \
        --config configs/sipmask/sipmask-memcnp_r50_official.py
"""
import argparse
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.compat.checkpoint import (
    CheckpointError,
    load_checkpoint_file,
)
from mmvis_memcnp.converters import KEY_MAPS, check_against, guess_system


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def convert(source: Path, config: Path, system: str | None) -> dict:
    """Read, rename and check a checkpoint.

    Args:
        source: official checkpoint.
        config: config of the model that it belongs to.
        system: a key of ``KEY_MAPS``; guessed from the names if None.

    Returns:
        ``state_dict`` and ``meta``.

    Raises:
        ValueError: if system, checkpoint and config do not belong together.
    """
    official = load_checkpoint_file(source)['state_dict']
    guessed = guess_system(official)
    if system is not None and guessed is not None and system != guessed:
        raise ValueError(f'its tensors are those of {guessed!r}, not of '
                         f'{system!r}: leave --system out')
    system = system or guessed
    if system is None:
        raise ValueError(
            'its tensors are of no known system '
            f'({", ".join(sorted(KEY_MAPS))}): pass --system if it is one')
    state = KEY_MAPS[system].convert(official)
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    if 'model' not in cfg:
        raise ValueError(f'{config} has no model: pass a model config')
    check_against(MODELS.build(cfg.model), state)
    return dict(
        state_dict=state,
        meta=dict(
            system=system, source=source.name, source_sha256=sha256(source)))


def save(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint in one go: the file is whole or it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    try:
        torch.save(checkpoint, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='official checkpoint')
    parser.add_argument('target', type=Path, help='file to write')
    parser.add_argument(
        '--config', type=Path, required=True, help='config of the model')
    parser.add_argument(
        '--system',
        choices=sorted(KEY_MAPS),
        help='official code base; guessed from the tensor names')
    return parser.parse_args(argv)


def main(argv: Iterable[str] | None = None) -> None:
    """Convert."""
    args = parse_args(argv)
    if args.source.resolve() == args.target.resolve():
        sys.exit(f'{args.source} would be overwritten: give another target.')
    try:
        save(convert(args.source, args.config, args.system), args.target)
    except (CheckpointError, FileNotFoundError) as error:
        sys.exit(str(error))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f'{args.source} cannot be converted: {error}')
    print(f'{sha256(args.source)}  {args.source}\n'
          f'{sha256(args.target)}  {args.target}')


if __name__ == '__main__':
    main()
