"""Workers of another checkout must not take parts of this one."""
import ast
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / 'tools/benchmark'
#: What the oldest checkout that is measured has, and a part that only the
#: measured options of this one need.
SHARED = {'mmvis_memcnp.apis', 'mmvis_memcnp.engine.optimize'}


@pytest.mark.parametrize('name', ['pipeline_work', 'training_work'])
def test_workers_import_what_both_checkouts_have(name):
    """An editable installation of this checkout would lend the other one
    whatever that lacks, without a word."""
    tree = ast.parse((BENCHMARKS / f'{name}.py').read_text())
    found = {node.module if isinstance(node, ast.ImportFrom) else alias.name
             for node in ast.walk(tree)
             if isinstance(node, (ast.Import, ast.ImportFrom))
             for alias in node.names}
    assert {n for n in found if n.startswith('mmvis_memcnp')} <= SHARED
    at_once = {node.module for node in tree.body
               if isinstance(node, ast.ImportFrom)}
    assert not {n for n in at_once if n.startswith('mmvis_memcnp')}
