"""Imports only point down, and no two files import each other.

Read from the source, so that imports in functions and under TYPE_CHECKING
count as well.
"""
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'mmvis_memcnp'
# A file may import from its own room and from the rooms below.
# registration.py and models/__init__.py gather what is registered.
ROOMS = ('', 'registration', 'probes', 'report', 'apis', 'cli', 'engine',
         'visualization', 'deployment', 'models', 'models.vis',
         'models.segmenters', 'models.memcnp', 'models.trackers',
         'models.matching',
         'models.losses', 'models.truth', 'models.backbones', 'models.layers',
         'datasets', 'evaluation', 'annotations', 'results', 'converters',
         'ops', 'compat', 'images', 'errors', 'version')

# What is still wrong. Exact: who repairs one takes it out.
UPWARD: set = set()
CIRCLES: set = set()


def module_of(path, root):
    """Dotted name inside the package; '' is the package itself."""
    parts = path.relative_to(root).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(root):
    """By module: the modules of the package that its file imports."""
    files = {module_of(path, root): path for path in root.rglob('*.py')}
    found = {}
    for module, path in files.items():
        package = module.split('.') if path.name == '__init__.py' else \
            module.split('.')[:-1]
        package = [part for part in package if part]
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [(alias.name.split('.'), None)
                         for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module.split('.') if node.module else []
                if node.level:
                    base = [root.name, *package[:len(package) + 1 -
                                                node.level], *base]
                names = [(base, alias.name) for alias in node.names]
            else:
                continue
            for base, name in names:
                if base[0] != root.name:
                    continue
                target = '.'.join(base[1:])
                inner = f'{target}.{name}'.strip('.')
                found[module].add(inner if inner in files else target)
    return found


def room_of(module):
    """The innermost room that a module is in."""
    inside = [room for room in ROOMS
              if room and f'{module}.'.startswith(f'{room}.')]
    assert inside or not module, f'{module} stands in no room of {__file__}'
    return max(inside, key=len, default='')


@pytest.fixture(scope='module')
def arrows():
    return imports(PACKAGE)


def test_imports_point_down(arrows):
    upward = {
        (module, target) for module, targets in arrows.items()
        for target in targets
        if ROOMS.index(room_of(target)) < ROOMS.index(room_of(module))
    }
    assert upward == UPWARD


def test_no_two_files_import_each_other(arrows):
    circles = {
        (module, target) for module, targets in arrows.items()
        for target in targets
        if module < target and module in arrows.get(target, ())
    }
    assert circles == CIRCLES


def test_every_kind_of_import_is_seen(tmp_path):
    root = tmp_path / 'pack'
    (root / 'deep').mkdir(parents=True)
    sources = {
        '__init__.py': 'from .low import thing\n',
        'low.py': 'import os\nimport pack.mid\nfrom other import mid\n',
        'mid.py': 'from typing import TYPE_CHECKING\n'
                  'if TYPE_CHECKING:\n    from .deep.leaf import Leaf\n'
                  'def f():\n    from pack import low, value\n',
        'deep/__init__.py': 'from .leaf import Leaf\n',
        'deep/leaf.py': 'from .. import low\nfrom ..mid import f\n'
                        'from . import Leaf\n',
    }
    for name, source in sources.items():
        (root / name).write_text(source)
    assert imports(root) == {
        '': {'low'}, 'low': {'mid'}, 'mid': {'deep.leaf', 'low', ''},
        'deep': {'deep.leaf'}, 'deep.leaf': {'low', 'mid', 'deep'}}
