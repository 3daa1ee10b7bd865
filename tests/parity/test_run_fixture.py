"""The command: passes on official outputs, fails on anything off."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fakes.pretend_cuda import DEVICE, pretend_cuda
from tests.parity.run_fixture import run

DATA = Path(__file__).resolve().parents[1] / 'data'
FIXTURES = sorted(p.parent.name for p in DATA.glob('*/manifest.json'))


@pytest.fixture
def evaluator(tmp_path):
    """A copy of one fixture that may be damaged."""
    return Path(shutil.copytree(DATA / 'ytvis_eval_1_basic', tmp_path / 'f'))


def rewrite(path, change):
    with np.load(path) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(path, **arrays)


def test_there_are_fixtures():
    assert len(FIXTURES) == 5


@pytest.mark.parametrize('name', FIXTURES)
def test_official_outputs(name, capsys):
    assert run(str(DATA / name)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 4 and all(x.startswith('ok') for x in lines[:-1])


def test_one_altered_value_fails_that_array_alone(evaluator, capsys):
    def change(arrays):
        arrays['precision'][0, 0, 0, 0, 0] += 1e-6

    rewrite(evaluator / 'expected.npz', change)
    assert run(str(evaluator)) == 1
    failed = [x for x in capsys.readouterr().out.splitlines() if 'FAIL' in x]
    assert len(failed) == 1 and 'expected.npz:precision' in failed[0]


def test_altered_input_fails(evaluator):
    path = evaluator / 'results.json'
    results = json.loads(path.read_text())
    results[0]['score'] = 1e-6
    path.write_text(json.dumps(results))
    assert run(str(evaluator)) == 1


@pytest.mark.parametrize('change, message', [
    (lambda a: a.pop('recall'), 'expected.npz:recall: not in the file'),
    (lambda a: a.update(more=np.ones(1)), 'nothing describes this array'),
])
def test_arrays_and_manifest_must_agree(evaluator, capsys, change, message):
    rewrite(evaluator / 'expected.npz', change)
    assert run(str(evaluator)) == 1
    assert message in capsys.readouterr().out


@pytest.mark.parametrize('file', ['expected.npz', 'gt.json', 'manifest.json'])
def test_missing_file_fails(evaluator, file):
    (evaluator / file).unlink()
    assert run(str(evaluator)) == 1


def test_undescribed_file_fails(evaluator, capsys):
    np.savez(evaluator / 'more.npz', a=np.ones(1))
    assert run(str(evaluator)) == 1
    assert 'more.npz: nothing describes' in capsys.readouterr().out


def test_undescribed_number_beside_compared_ones_fails(evaluator):
    path = evaluator / 'expected.json'
    expected = json.loads(path.read_text())
    expected['stats']['AP99'] = 0.
    path.write_text(json.dumps(expected))
    assert run(str(evaluator)) == 1


@pytest.mark.parametrize('edit', [
    lambda r: r.update(system='nothing_known'),
    lambda r: r.update(arrays=[]),
    lambda r: r['arrays'][1].update(index='[a]'),
    lambda r: r['arrays'][1].update(kind='colour'),
    lambda r: r['arrays'][1].update(order='any'),
    lambda r: r['dims'].update(R=100),
    lambda r: r['arrays'][0].update(key='other'),
    lambda r: r['test'].update(max_dets=[1, 10, 50]),
])
def test_manifest_that_says_something_else_fails(evaluator, edit):
    path = evaluator / 'manifest.json'
    manifest = json.loads(path.read_text())
    edit(manifest['run'])
    path.write_text(json.dumps(manifest))
    assert run(str(evaluator)) == 1


PARITY = DATA / 'parity'


@pytest.mark.parametrize('name', [
    'memcnp_units', 'swin_d2', 'ifc_clip_matching', 'ctvis_tracker'])
def test_official_outputs_on_a_device(name, capsys):
    with pretend_cuda():
        assert run(str(PARITY / name), DEVICE) == 0
    assert ' 0 failed' in capsys.readouterr().out


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', ['memcnp_units', 'ifc_clip_matching'])
def test_official_outputs_on_a_gpu(name):
    assert run(str(PARITY / name), 'cuda:0', slack=10) == 0


def test_slack_multiplies_tolerances(evaluator):
    path = evaluator / 'manifest.json'
    manifest = json.loads(path.read_text())
    for spec in manifest['run']['arrays']:
        spec['tolerance'] = 1e-7
    path.write_text(json.dumps(manifest))
    rewrite(evaluator / 'expected.npz',
            lambda a: a['precision'].__imul__(1 + 5e-7))
    assert run(str(evaluator)) == 1
    assert run(str(evaluator), slack=10) == 0
