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
    ('train', 'random', None),
    ('train', 'random', dict(points='drawn')),
])
def test_settings_out_of_reach_are_refused(block, key, value):
    fixture = Fixture(FOLDER)
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        mask2former.compute(fixture)


def text_of_points(seed: int, *counts: int) -> str:
    return (f'every torch.rand(R, P, 2) is replaced by float32('
            f'np.random.RandomState({seed} + P).random_sample((P, 2))), the '
            f'same for all R rows; P = {counts}')


def test_points_come_from_the_seed_of_the_manifest():
    fixture = Fixture(FOLDER)
    stored = mask2former.pinned_points(fixture)(2, 5, 2)
    for seed in (20240000, 3):
        fixture.run['train']['random'] = dict(points=text_of_points(seed, 5))
        points = mask2former.pinned_points(fixture)(2, 5, 2)
        expected = np.random.RandomState(seed + 5).random_sample((5, 2))
        torch.testing.assert_close(
            points, torch.tensor(expected).float().expand(2, -1, -1),
            rtol=0, atol=0)
        assert points.equal(stored) == (seed == 20240000)


def test_sizes_come_from_the_manifest(monkeypatch):
    """Other sizes, counts and lengths, two clips, sides that 4 does not
    divide; the model, not the manifest, names the tensors here."""
    fixture = Fixture(FOLDER)
    fixture.run['arch'].update(
        num_classes=7, num_queries=9, d=64, heads=4, ffn=96, enc_layers=2,
        dec_layers=4, embed_dim=None)
    # 157 * (117 / 157) is less than 117.
    fixture.run['train']['points'].update(
        match=50, train=157, oversampled=180, uncertain=117)
    fixture.run['train']['random'] = dict(points=text_of_points(7, 50, 180))
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
    drawn = []
    draw = mask2former.pinned_points(fixture)
    monkeypatch.setattr(mask2former, 'pinned_points', lambda _: (
        lambda *size, **kwargs:
        drawn.append(size[1]) or draw(*size, **kwargs)))
    out = mask2former.compute(fixture)
    assert set(drawn) == {50, 180, 157 - 117}
    assert out['inference', 'outputs.npz', 'pred_logits'].shape == (5, 9, 8)
    assert out['inference', 'outputs.npz', 'pred_masks'].shape == (
        5, 9, 14, 19)
    assert out['plain', 'plain.npz', 'aux3_masks_sub'].shape == (5, 9, 14, 19)
    found = out['losses', 'losses.npz', 'match_last']
    assert np.bincount(found[:, 0]).tolist() == [3, 2, 0, 1, 1]
    assert ('losses', 'losses.npz', 'loss_loss_ce_3') in out
    assert all(np.isfinite(v).all() for v in out.values())
