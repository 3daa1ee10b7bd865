"""SeqFormer and clip matching give the stored official outputs."""
from pathlib import Path

import pytest

from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.run_fixture import load_system, run

DATA = Path(__file__).resolve().parents[1] / 'data' / 'parity'


@pytest.mark.parametrize('name, arrays', [
    ('seqformer_r50_ytvis19', 131), ('ifc_clip_matching', 16)])
def test_official_outputs(name, arrays, capsys):
    assert run(str(DATA / name)) == 0
    lines = [x for x in capsys.readouterr().out.splitlines()
             if x.startswith(('ok', 'FAIL'))]
    assert len(lines) == arrays and all(x.startswith('ok') for x in lines)


@pytest.mark.parametrize('name, block, key, value', [
    ('seqformer_r50_ytvis19', 'test', 'mask_thr', 0.4),
    ('seqformer_r50_ytvis19', 'train', 'absent_frames', 'masked out'),
    ('ifc_clip_matching', 'test', 'mask_thr', 0.5),
])
def test_settings_out_of_reach_are_refused(name, block, key, value):
    fixture = Fixture(DATA / name)
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        load_system(fixture.run['system'])(fixture)
