"""tools/benchmark/speed.py on small models: what its csv says."""
import csv
from pathlib import Path

import pytest

from tests.fakes.programs import run_program

TOOL = Path(__file__).resolve().parents[2] / 'tools/benchmark/speed.py'


def test_a_family_takes_turns(tmp_path):
    done = run_program(
        TOOL, '--device', 'cpu', '--tiny', '--families', 'sipmask',
        '--frames', 3, '--chunk', 2, '--variants', 'float32',
        'float32-optimized', '--out', 'a.csv', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / 'a.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(r['system'], r['variant']) for r in rows] == [
        (system, variant) for system in ('sipmask', 'sipmask-memcnp')
        for variant in ('float32', 'float32-optimized')]
    for row in rows:
        parts = [float(row[p]) for p in ('read', 'network', 'association',
                                         'output')]
        assert all(ms > 0 for ms in parts)
        assert sum(parts) == pytest.approx(float(row['total']), abs=.01)
        assert float(row['fps']) == pytest.approx(
            1e3 / float(row['total']), rel=.02)
        assert 3 <= float(row['instances']) <= 20
        assert row['chunk'] == '2' and int(row['weights_mib']) > 0
        assert int(row['peak_mib']) > 0
    assert rows[0]['to_float32'] == rows[0]['to_host'] == '1.0'
    assert float(rows[1]['to_float32']) != 1
    # A line of the table a row, and its head.
    assert done.stdout.count('\n| ') == len(rows) + 1


def test_a_family_that_is_not_there(tmp_path):
    done = run_program(TOOL, '--device', 'cpu', '--tiny', '--families',
                       'nobody', cwd=tmp_path)
    assert done.returncode == 1
    assert 'There is no family nobody: use ctvis, ' in done.stderr
    assert not list(tmp_path.iterdir())
