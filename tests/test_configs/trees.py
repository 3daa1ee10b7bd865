"""Configs as flat tables, and the tables of a README.

A file is read once a session, a model is built once however many configs
have it.
"""
import ast
import re
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

FOLDER = Path(__file__).parents[2] / 'configs' / 'sipmask'
ABSENT = '-'
NAMES = sorted(
    str(p.relative_to(FOLDER).with_suffix('')) for p in FOLDER.rglob('*.py'))


@cache
def _read(name: str, folder: Path) -> Config:
    read = Config.fromfile(folder / f'{name}.py')
    # Only texts meant for people need yapf, which takes most of the time.
    return Config(read.to_dict(), filename=read.filename,
                  format_python_code=False)


def config_of(name: str, folder: Path = FOLDER) -> Config:
    """A config of a folder, by its path there without suffix."""
    return deepcopy(_read(name, folder))


def load(name: str, folder: Path = FOLDER) -> dict:
    """The same as plain containers."""
    return config_of(name, folder).to_dict()


def build(name: str, folder: Path = FOLDER) -> nn.Module:
    """The model of a config on no device: shapes without numbers.

    Configs of the same model share it; change nothing in it.
    """
    return _build(repr(config_of(name, folder).model.to_dict()))


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


def leaves(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that holds no dict."""
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, (list, tuple)) and any(
            isinstance(v, dict) for v in node):
        children = list(enumerate(node))
    else:
        yield path, plain(node)
        return
    for key, value in children:
        yield from leaves(value, f'{path}.{key}' if path else str(key))


def changes(before: Any, after: Any,
            path: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted key and new value of what differs; another type is one change."""
    both = isinstance(before, dict) and isinstance(after, dict)
    if not both or before.get('type') != after.get('type'):
        if plain(before) != plain(after):
            yield path, plain(after)
        return
    for key in {**before, **after}:
        yield from changes(
            before.get(key, ABSENT), after.get(key, ABSENT),
            f'{path}.{key}' if path else key)


@cache
def tables(first: str, folder: Path = FOLDER) -> list[list[list[str]]]:
    """Tables of the README whose first head is ``first``, head included."""
    found, rows = [], []
    for line in [*(folder / 'README.md').read_text().splitlines(), '']:
        if line.startswith('|'):
            rows.append([c.strip() for c in line.strip('|').split('|')])
        elif rows:
            if rows[0][0] == first:
                found.append([rows[0], *rows[2:]])
            rows = []
    return found


def literal(cell: str) -> Any:
    """The value of a cell: a Python literal in backticks, or absent."""
    if cell == ABSENT:
        return ABSENT
    match = re.fullmatch(r'`(.+)`', cell)
    assert match, f'{cell!r} is no value in backticks'
    return value_of(match.group(1))


def value_of(text: str) -> Any:
    """A literal, or ``dict(key=literal, ...)``."""
    node = ast.parse(text, mode='eval').body
    if isinstance(node, ast.Call):
        assert ast.unparse(node.func) == 'dict' and not node.args
        return {k.arg: plain(ast.literal_eval(k.value))
                for k in node.keywords}
    return plain(ast.literal_eval(node))
