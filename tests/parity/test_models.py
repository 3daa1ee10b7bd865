"""Models give the stored outputs of the official codes."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.run_fixture import load_system, run

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parents[1] / 'data' / 'parity'
#: Arrays that are compared, and those whose official code has a bug.
FIXTURES = {
    'ctvis_r50_video': (77, 4), 'ctvis_tracker': (190, 0),
    'dvis_daq_r50_ytvis': (208, 0), 'dvis_refiner_r50': (200, 1),
    'dvis_tracker_r50': (20, 0),
    'idol_r50_ytvis19': (259, 0), 'ifr_decoder_reading': (13, 0),
    'instanceformer_r50_ytvis19_nomem': (83, 0),
    'mask2former_vis_r50_video': (71, 0), 'memcnp_r50_ytvis': (411, 0),
    'memcnp_units': (82, 1), 'memcnp_vit_ytvis': (384, 0),
    'o2vis_lomm_tracker': (79, 0), 'o2vis_trackless': (12, 0),
    'sipmask_r50_ytvis': (365, 0), 'swin_d2': (49, 0),
    'videomt_reading': (104, 0), 'vit_adapter_small': (73, 0)}


#: The gradients of a step that rounding decides: a unit at 0 changes them by
#: half a percent. The script sums in the same order on all processors.
AS_SCRIPT = {'ctvis_r50_video'}


@pytest.mark.parametrize('name', FIXTURES)
def test_official_outputs(name, capsys):
    if name in AS_SCRIPT:
        done = subprocess.run(
            [sys.executable, ROOT / 'tests/parity/run_fixture.py',
             DATA / name], capture_output=True, text=True, check=False)
        status, out = done.returncode, done.stdout
    else:
        status, out = run(str(DATA / name)), capsys.readouterr().out
    assert status == 0
    lines = out.splitlines()
    compared, skipped = FIXTURES[name]
    assert lines[-1] == (f'{name}: {compared} arrays, {skipped} skipped '
                         '(copy a bug), 0 failed')
    assert sum(x.startswith('ok') for x in lines) == compared


def test_official_instanceformer_with_memory(shared_dir, capsys):
    folder = shared_dir / 'parity' / 'instanceformer_r50_ytvis19'
    if not folder.is_dir():
        pytest.skip(f'needs {folder.name}')
    assert run(str(folder)) == 0
    assert '100 arrays, 0 skipped' in capsys.readouterr().out


@pytest.mark.slow
def test_the_whole_of_official_ctvis(shared_dir, capsys):
    """Its parts are above and in test_mask2former.py."""
    folder = shared_dir / 'parity' / 'ctvis_r50_ytvis19'
    if not folder.is_dir():
        pytest.skip(f'needs {folder.name}')
    assert run(str(folder)) == 0
    assert '372 arrays, 4 skipped' in capsys.readouterr().out


@pytest.mark.slow
def test_the_whole_of_official_dvis_daq(shared_dir, capsys):
    """The queries of its frames as well."""
    folder = shared_dir / 'parity' / 'dvis_daq_r50_ytvis'
    if not folder.is_dir():
        pytest.skip(f'needs {folder.name}')
    assert run(str(folder)) == 0
    assert '246 arrays, 0 skipped' in capsys.readouterr().out


@pytest.mark.slow
def test_official_mask2former_vis(shared_dir, capsys):
    folder = shared_dir / 'parity' / 'mask2former_video_r50'
    if not folder.is_dir():
        pytest.skip(f'needs {folder.name}')
    assert run(str(folder)) == 0
    assert '107 arrays, 0 skipped' in capsys.readouterr().out


def test_one_altered_value_fails_that_array_alone(tmp_path, capsys):
    copy = Path(shutil.copytree(DATA / 'o2vis_trackless', tmp_path / 'f'))
    path = copy / 'outputs.npz'
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays['trackless/sim_hm/video_logits'][0, 2] += 1.
    np.savez(path, **arrays)
    assert run(str(copy)) == 1
    failed = [x for x in capsys.readouterr().out.splitlines() if 'FAIL' in x]
    assert len(failed) == 1 and 'trackless/sim_hm/video_logits' in failed[0]


@pytest.mark.parametrize('system, block, key, value', [
    ('sipmask_r50_ytvis', 'test', 'mask_thr', 0.4),
    ('sipmask_r50_ytvis', 'arch', 'crop_split', 3),
    ('sipmask_r50_ytvis', 'arch', 'deform_groups', 2),
    ('memcnp_r50_ytvis', 'arch', 'crop_split', 2),
    ('memcnp_r50_ytvis', 'arch', 'track_channels', 128),
    ('memcnp_r50_ytvis', 'train', 'zero_loss_match_at_zero_accuracy', False),
    ('idol_r50_ytvis19', 'test', 'top_k', 5),
    ('idol_r50_ytvis19', 'arch', 'levels', 3),
])
def test_settings_out_of_reach_are_refused(system, block, key, value):
    fixture = Fixture(DATA / system)
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        load_system(fixture.run['system'])(fixture)


SMALL = {
    'sipmask_r50_ytvis': dict(mask_basis_channels=4, track_channels=12),
    'memcnp_r50_ytvis': dict(
        mask_basis_channels=64, track_channels=64, fpn_outs=4,
        memory=dict(items=9, item_dim=68, mlp=[68, 64, 64])),
    'memcnp_vit_ytvis': dict(
        mask_basis_channels=64, track_channels=64,
        vit=dict(patch=16, dim=24, depth=4, heads=3, out_blocks=[1, 2, 3],
                 out_scales=[2., 1., .5], ln_eps=1e-6, reset_cls_after=[1],
                 pos_grid=[5, 7]),
        memory=dict(items=9, item_dim=68, mlp=[68, 64, 64]))
}


@pytest.mark.parametrize('name', SMALL)
def test_sizes_come_from_the_manifest(name, monkeypatch):
    """Other sizes build and run; the model, not the manifest, names the
    tensors here."""
    from mmvis_memcnp.converters import KEY_MAPS
    from tests.data.seeded_weights import seeded_array
    from tests.parity.systems import sipmask_model

    fixture = Fixture(DATA / name)
    fixture.run['arch'].update(SMALL[name], num_classes=7, channels=64,
                               stacked_convs=2)
    fixture.run['test'].update(max_per_img=3, score_thr=0.)
    for item in fixture.run['inputs']:
        item['frames'] = [[4, 130, 150, 5]]
        item.update(padded_hw=[160, 160])
        if item['ori_hw']:
            item['ori_hw'] = [130, 150]
    fixture.run['test']['image_hw'] = [130, 150]
    fixture.npz('losses.npz').update({
        k: np.full_like(v, 7) for k, v in fixture.npz('losses.npz').items()
        if k.startswith('target/labels')})
    monkeypatch.setattr(sipmask_model, 'check_against',
                        lambda model, state: None)
    monkeypatch.setattr(
        KEY_MAPS[fixture.run['system']], 'convert', lambda state: state)
    load = sipmask_model.MODELS.build

    def seeded(cfg):
        model = load(cfg)
        state = model.state_dict()
        monkeypatch.setattr(fixture, 'weights', lambda part: {
            k: seeded_array(k, v.shape, str(v.dtype)[6:], 3)
            for k, v in state.items()})
        return model

    monkeypatch.setattr(sipmask_model.MODELS, 'build', seeded)
    out = load_system(fixture.run['system'])(fixture)
    assert out['inference', 'outputs.npz', 't0_cls0'].shape[1] == 7
    assert out['inference', 'outputs.npz', 't0_dets'].shape[0] == 3
    assert all(np.isfinite(v).all() for v in out.values())


def test_the_product_does_not_use_the_tests():
    package = DATA.parents[2] / 'mmvis_memcnp'
    users = [p.name for p in package.rglob('*.py')
             if 'tests.' in p.read_text() or 'from tests' in p.read_text()]
    assert users == []


def test_manifests_are_whole():
    for name in FIXTURES:
        assert json.loads((DATA / name / 'manifest.json').read_text())['run']
