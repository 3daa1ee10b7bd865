"""Configs, tools and weights that come with the package, found by name.

In a checkout they lie beside the package, in an installation in its folder
``.mim``, where OpenMMLab's tools look for them, too. Imports neither torch
nor mmdet.
"""
from __future__ import annotations

import difflib
import re
from pathlib import Path

from ..errors import UserError

#: How the files of configs end.
CONFIG_SUFFIXES = ('.py', '.json', '.yaml', '.yml')
_PACKAGE = Path(__file__).resolve().parents[1]
# GPUs, images on each and length of the schedule in the name of a config.
_SCHEDULE = re.compile(r'_\d+xb\d+-\d+[ek](-|_)')


def shipped_root() -> Path:
    """The folder that holds ``configs``, ``tools`` and ``demo``.

    Raises:
        UserError: If the package was installed without them.
    """
    for root in (_PACKAGE.parent, _PACKAGE / '.mim'):
        if (root / 'model-index.yml').is_file() and (
                root / 'configs').is_dir():
            return root
    raise UserError(f'{_PACKAGE} was installed without its configs and tools: '
                    'install it with pip from a checkout.')


def config_paths() -> dict[str, Path]:
    """Every config by its name, the stem of its file."""
    folder = shipped_root() / 'configs'
    return {path.stem: path for path in sorted(folder.rglob('*.py'))
            if '_base_' not in path.relative_to(folder).parts}


def short_name(name: str) -> str:
    """The name of a config without number of GPUs, batch and schedule."""
    return _SCHEDULE.sub('_', name)


def find_config(name: str | Path) -> Path:
    """The config that a name or a path stands for.

    Args:
        name (str | Path): Path of a file, or the name of a config that comes
            with the package, in full (``idol_r50_8xb2-12k_ovis``) or without
            its schedule (``idol_r50_ovis``).

    Raises:
        UserError: If there is no such file and no such name; it says the
            nearest names.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    text = str(name)
    if path.suffix in CONFIG_SUFFIXES and len(path.parts) > 1:
        raise UserError(f'There is no config at {name}: correct the path, or '
                        'give the name of a config alone.')
    known = config_paths()
    text = text.removesuffix('.py')
    if text in known:
        return known[text]
    same = [stem for stem in known if short_name(stem) == text]
    if len(same) == 1:
        return known[same[0]]
    if same:
        raise UserError(f'Several configs are named {text}: say which of '
                        f'{", ".join(same)}.')
    names = sorted({*known, *map(short_name, known)})
    near = difflib.get_close_matches(text, names, 3, .4)
    raise UserError(
        f'There is no config named {text}'
        + (f'; the nearest are {", ".join(near)}.' if near else
           ': "mmvis models" lists the names.'))


def shipped_weights(config: Path) -> Path | None:
    """Weights of a config that come with the package, if there are any."""
    known = config_paths().get(config.stem)
    weights = shipped_root() / f'demo/weights/{config.stem}.pth'
    same = known is not None and known.samefile(config)
    return weights if same and weights.is_file() else None
