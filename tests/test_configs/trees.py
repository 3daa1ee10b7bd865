"""Configs as flat tables, and their models.

A file is read once a session, a model is built once however many configs
have it.
"""
import ast
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
ABSENT = '-'
#: Every config, by its path in ``configs`` without suffix; parts that configs
#: are made of are none.
NAMES = sorted(
    str(p.relative_to(CONFIGS).with_suffix(''))
    for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)
#: Every folder of configs; those of a system are ``configs_of(system)``.
SYSTEMS = sorted({n.split('/')[0] for n in NAMES})


def configs_of(system: str) -> list[str]:
    """The configs of a folder, in the form of ``NAMES``."""
    return [n for n in NAMES if n.startswith(f'{system}/')]


@cache
def _read(name: str) -> Config:
    read = Config.fromfile(CONFIGS / f'{name}.py')
    # Only texts meant for people need yapf, which takes most of the time.
    return Config(read.to_dict(), filename=read.filename,
                  format_python_code=False)


def config_of(name: str) -> Config:
    """A config by its name in ``NAMES``."""
    return deepcopy(_read(name))


def load(name: str) -> dict:
    """The same as plain containers."""
    return config_of(name).to_dict()


def network_of(model: dict) -> dict:
    """What of a model's config has the backbone: its segmenter, if there is
    one."""
    return model.get('segmenter', model)


def build(name: str) -> nn.Module:
    """The model of a config on no device: shapes without numbers.

    Configs of the same model share it; change nothing in it.
    """
    return _build(repr(config_of(name).model.to_dict()))


@cache
def _build(text: str) -> nn.Module:
    init_default_scope('mmdet')
    linspace = torch.linspace
    with torch.device('meta'), pytest.MonkeyPatch.context() as patch:
        # Swin reads its drop rates as numbers.
        patch.setattr(torch, 'linspace', lambda *a: linspace(*a, device='cpu'))
        return MODELS.build(ConfigDict(ast.literal_eval(text)))


def plain(value: Any) -> Any:
    """Tuples as lists, at any depth."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def _has_dict(node: Any) -> bool:
    return isinstance(node, dict) or (
        isinstance(node, (list, tuple)) and any(map(_has_dict, node)))


def leaves(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that holds no dict."""
    if not _has_dict(node):
        yield path, plain(node)
        return
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in children:
        yield from leaves(value, f'{path}.{key}' if path else str(key))


def changes(before: Any, after: Any,
            path: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted key and new value of what differs; another type is one change,
    and so is another list, but for the data sets of a joint training."""
    if path.endswith('.datasets') and len(before) == len(after):
        before, after = ({str(i): one for i, one in enumerate(many)}
                         for many in (before, after))
    both = isinstance(before, dict) and isinstance(after, dict)
    if not both or before.get('type') != after.get('type'):
        if plain(before) != plain(after):
            yield path, plain(after)
        return
    for key in {**before, **after}:
        yield from changes(
            before.get(key, ABSENT), after.get(key, ABSENT),
            f'{path}.{key}' if path else key)
