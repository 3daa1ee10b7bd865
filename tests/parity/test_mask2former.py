"""Mask2Former on frames gives the stored official outputs."""
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.seeded_weights import seeded_array
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.run_fixture import run
from tests.parity.systems import mask2former

DATA = Path(__file__).resolve().parents[1] / 'data/parity'
FOLDER = DATA / 'mask2former_r50_ctvis'


def test_official_outputs(capsys):
    assert run(str(FOLDER)) == 0
    lines = [x for x in capsys.readouterr().out.splitlines()
             if x.startswith(('ok', 'FAIL'))]
    assert len(lines) == 106 and all(x.startswith('ok') for x in lines)


@pytest.mark.parametrize('block, key, value', [
    ('arch', 'levels', 4),
    ('train', 'normaliser', 'one'),
    ('train', 'random', {}),
])
def test_settings_out_of_reach_are_refused(block, key, value):
    fixture = Fixture(FOLDER)
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        mask2former.compute(fixture)


def test_sizes_come_from_the_manifest(monkeypatch):
    """Other sizes, counts and lengths, two clips, sides that 4 does not
    divide; the model, not the manifest, names the tensors here."""
    fixture = Fixture(FOLDER)
    fixture.run['arch'].update(
        num_classes=7, num_queries=9, d=64, heads=4, ffn=96, enc_layers=2,
        dec_layers=4, embed_dim=None)
    fixture.run['train']['points'].update(
        match=50, train=40, oversampled=80, uncertain=20)
    for item in fixture.run['inputs']:
        item['frames'] = [[3, 50, 70, 5], [2, 50, 70, 6]]
        item.update(padded_hw=[53, 75])
        item.pop('take_frames', None)
    ids = {0: np.array([[0, 1, 2], [-1, 1, 2], [-1, -1, -1]]),
           1: np.array([[0], [0]])}
    masks = {b: np.zeros((*x.shape, 50, 70), bool) for b, x in ids.items()}
    for b, x in ids.items():
        masks[b][x >= 0, 10:30, 20:50] = True
    monkeypatch.setattr(fixture, 'targets', lambda: dict(
        ids=ids, masks=masks,
        labels={b: np.where(x < 0, 7, x) for b, x in ids.items()}))
    monkeypatch.setattr(mask2former, 'check_against', lambda *_: None)
    monkeypatch.setattr(mask2former, 'guess_system', lambda _: 'mask2former')
    monkeypatch.setattr(
        mask2former.KEY_MAPS['mask2former'], 'convert', lambda state: state)
    monkeypatch.setattr(
        mask2former.KEY_MAPS['mask2former'], 'rename', lambda name: name)
    module_dict = torch.nn.ModuleDict

    def seeded(modules):
        holder = module_dict(modules)
        weights = {k: seeded_array(k, v.shape, str(v.dtype)[6:], 3)
                   for k, v in holder.state_dict().items()}
        monkeypatch.setattr(
            holder, 'load_state_dict',
            lambda state, strict: module_dict.load_state_dict(holder, {
                k: torch.from_numpy(np.asarray(v))
                for k, v in weights.items()}))
        monkeypatch.setattr(fixture, 'weights', lambda part: weights)
        return holder

    monkeypatch.setattr(mask2former.nn, 'ModuleDict', seeded)
    monkeypatch.setattr(fixture, 'weights', lambda part: {})
    out = mask2former.compute(fixture)
    assert out['inference', 'outputs.npz', 'pred_logits'].shape == (5, 9, 8)
    assert out['inference', 'outputs.npz', 'pred_masks'].shape == (
        5, 9, 14, 19)
    assert out['plain', 'plain.npz', 'aux3_masks_sub'].shape == (5, 9, 14, 19)
    found = out['losses', 'losses.npz', 'match_last']
    assert np.bincount(found[:, 0]).tolist() == [3, 2, 0, 1, 1]
    assert ('losses', 'losses.npz', 'loss_loss_ce_3') in out
    assert all(np.isfinite(v).all() for v in out.values())
