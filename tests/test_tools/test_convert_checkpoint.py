"""tools/model_converters/convert_checkpoint.py on seeded weights."""
import hashlib
import importlib.util
import os
import pickle
from pathlib import Path

import pytest
import torch

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from tests.fakes.tiny_sipmask import tiny_config, tiny_model

ROOT = Path(__file__).resolve().parents[2]
NAMES = {'bbox_head.memcnp.bank.items': 'bbox_head.mem.feat_units.weight'}


def official(kind):
    """The state dict of a tiny model under the official names."""
    return {
        NAMES.get(k, k).replace('memcnp.bank.mlp', 'mem.mlp'): v
        for k, v in tiny_model(kind, salt=7).state_dict().items()
    }


@pytest.fixture
def tool(tmp_path, capsys):
    """Runs the tool; returns what it printed, or the sentence it ended with.
    """
    spec = importlib.util.spec_from_file_location(
        'convert_checkpoint',
        ROOT / 'tools/model_converters/convert_checkpoint.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(kind, content, *options):
        config = tmp_path / 'config.py'
        tiny_config(kind).dump(config)
        if not isinstance(content, bytes):
            torch.save(content, tmp_path / 'in.pth')
        else:
            (tmp_path / 'in.pth').write_bytes(content)
        try:
            module.main([
                str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'),
                '--config', str(config), *options])
        except SystemExit as error:
            assert list(tmp_path.glob('out*')) == []  # nothing half-written
            return str(error)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize('kind, system', [
    ('sipmask', 'sipmask'), ('memcnp', 'memcnp_sipmask')])
@pytest.mark.parametrize('wrap', [lambda s: s, lambda s: dict(model=s, it=3)])
def test_result_is_the_model(tool, tmp_path, kind, system, wrap):
    printed = tool(kind, wrap(official(kind)))
    sums = [hashlib.sha256((tmp_path / f).read_bytes()).hexdigest()
            for f in ('in.pth', 'out.pth')]
    assert [line.split()[0] for line in printed.splitlines()] == sums
    out = load_checkpoint_file(tmp_path / 'out.pth')
    assert out['meta'] == dict(
        system=system, source='in.pth', source_sha256=sums[0])
    expected = tiny_model(kind, salt=7).state_dict()
    assert out['state_dict'].keys() == expected.keys()
    assert all(torch.equal(v, out['state_dict'][k])
               for k, v in expected.items())


@pytest.mark.parametrize('change, message', [
    (lambda s: s.pop('neck.fpn_convs.0.conv.bias'),
     'missing: neck.fpn_convs.0.conv.bias'),
    (lambda s: s.update(more=torch.zeros(1)), 'unexpected: more'),
    (lambda s: s.pop('bbox_head.mem.feat_units.weight'), 'no known system'),
])
def test_other_tensors_are_named(tool, change, message):
    state = official('memcnp')
    change(state)
    answer = tool('memcnp', state)
    assert message in answer and answer.count('\n') == 0


def test_other_system_or_config(tool):
    assert "those of 'memcnp_sipmask', not of 'sipmask'" in tool(
        'memcnp', official('memcnp'), '--system', 'sipmask')
    assert 'does not fit the model' in tool('sipmask', official('memcnp'))


class Evil:

    def __reduce__(self):
        return os.system, ('touch out_of_the_pickle', )


@pytest.mark.parametrize('dump', [pickle.dumps, None])
def test_code_is_not_executed(tool, tmp_path, monkeypatch, dump):
    monkeypatch.chdir(tmp_path)
    content = dict(state_dict=official('sipmask'), more=Evil())
    answer = tool('sipmask', pickle.dumps(Evil()) if dump else content)
    assert 'was not loaded' in answer and 'system' in answer
    assert not (tmp_path / 'out_of_the_pickle').exists()


def test_damaged_and_missing_files(tool, tmp_path):
    assert 'not a readable checkpoint' in tool('sipmask', b'PK\x03\x04no')
    assert 'no weights' in tool('sipmask', {1: 2})
