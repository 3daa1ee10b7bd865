"""The runners of O2VIS and of the tracker of DVIS++ take sizes, lengths and
options from the manifest. Their official arrays are in test_models.py."""
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.converters import KEY_MAPS
from tests.data.seeded_weights import seeded_array
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems import dvis_tracker, o2vis

DATA = Path(__file__).resolve().parents[1] / 'data/parity'
T, N, K, D, H, W = 4, 7, 6, 64, 5, 9


def resized(name, monkeypatch, config, **arch):
    """A fixture of other sizes, with weights of another salt.

    Args:
        name: of the folder.
        config: makes the tracker's of a fixture and a part.
        arch: further numbers of the constructor.
    """
    fixture = Fixture(DATA / name)
    fixture.run['arch'].update(num_classes=K, d=D, heads=4, ffn=96,
                               mask_dim=D, **arch)
    rng = np.random.RandomState(5)
    shapes = dict(
        frame_embeds=(T, N, D), frame_embeds_no_norm=(T, N, D),
        mask_features=(T, D, H, W), segmenter_logits=(T, N, K + 1),
        segmenter_masks=(N, T, H, W), embeds=(T, N, D), logits=(T, N, K + 1))
    given = {k: rng.standard_normal(v).astype(np.float32)
             for k, v in shapes.items()}
    given['points'] = rng.rand(11, 2).astype(np.float32)
    monkeypatch.setattr(fixture, 'arrays', lambda part: given)
    init_default_scope('mmdet')
    system = fixture.run['system']

    def weights(part):
        own = MODELS.build(config(fixture, part)).state_dict()
        rename = KEY_MAPS[system].rename
        listed = fixture.manifest[
            'tensors_TE' if part == 'TE' else 'tensors']
        return {n: seeded_array(n, own[rename(f'tracker.{n}')[8:]].shape,
                                dtype, 3)
                for n, _, dtype in listed
                if rename(f'tracker.{n}')[8:] in own}

    monkeypatch.setattr(fixture, 'weights', weights)
    return fixture


def finite(found):
    assert all(np.isfinite(x).all() for x in found.values()
               if x.dtype.kind == 'f')
    return {(part, key): x for (part, _, key), x in found.items()}


def test_sizes_of_o2vis(monkeypatch):
    """Other sizes and counts, an object that comes last and one that goes."""
    fixture = resized(
        'o2vis_lomm_tracker', monkeypatch,
        lambda f, part: o2vis.tracker_config(f, part == 'TE'),
        layers=dict(T_E=2, T_A=3), layers_TE_only=2)
    masks = np.zeros((2, T, H, W), np.float32)
    masks[0, :2, 1:3, 2:6] = masks[1, 3, 2:4, 1:5] = 1
    monkeypatch.setattr(fixture, 'targets', lambda: dict(
        labels=np.array([5, 0]), masks=masks,
        ids=np.array([[0, 0, -1, -1], [-1, -1, -1, 1]])))
    found = finite(o2vis.compute(fixture))
    for part in ('full', 'early'):
        assert found[part, f'{part}/pred_logits'].shape == (T, N, K + 1)
        assert found[part, f'{part}/pred_masks'].shape == (N, T, H, W)
        assert found[part, f'{part}/memory_after'].shape == (T, N, D)
        assert found[part, f'{part}/match_gt'].tolist() == [0, 1]
        # A loss of each layer: 3 of T_A, 2 of T_E.
        assert f'{part}/loss_ce_1' in {k for _, k in found}
        assert (part, f'{part}/loss_ce_2') not in found
        assert (part, f'{part}/loss_ce_E_0') in found
        assert (part, f'{part}/loss_ce_E_1') not in found
        for order in found[part, f'{part}/indices']:
            assert sorted(order) == list(range(N))
    assert found['TE', 'TE/memory_final'].shape == (N, D)
    assert found['trackless', 'trackless/none_hm/indices'].shape == (T, N)


def test_the_letter_of_the_equations_is_another_tracker(monkeypatch):
    """Both options of eqs 6 and 7 change what comes out."""
    logits = []
    for order, space in (('memory_first', 'projected'),
                         ('query_first', 'projected'),
                         ('memory_first', 'raw')):
        fixture = resized(
            'o2vis_lomm_tracker', monkeypatch,
            lambda f, part: o2vis.tracker_config(f, part == 'TE'),
            layers=dict(T_E=2, T_A=2), layers_TE_only=2,
            anchor_order=order, match_space=space)
        given = {k: o2vis.torch.from_numpy(v)
                 for k, v in fixture.arrays('full').items()}
        model = o2vis.build_model(fixture, 'full', given)
        model.set_progress(1, 1)
        logits.append([f.rows.logits[-1] for f, _ in o2vis.follow(model, T)])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert o2vis.torch.equal(logits[one][0], logits[other][0])
        assert not o2vis.torch.allclose(
            logits[one][-1], logits[other][-1], atol=1e-3)


def test_sizes_of_the_tracker_of_dvis(monkeypatch):
    fixture = resized('dvis_tracker_r50', monkeypatch,
                      lambda f, part: dvis_tracker.tracker_config(f),
                      layers=2)
    found = finite(dvis_tracker.compute(fixture))
    assert found['tracker', 'out/pred_masks'].shape == (N, T, H, W)
    assert found['tracker', 'out/aux0_logits_strided'].shape == (T, N, K + 1)
    assert ('tracker', 'out/aux1_logits_strided') not in found
    assert found['tracker', 'unit/rca0'].shape == (N, D)


@pytest.mark.parametrize('name, block, key, value', [
    ('o2vis_lomm_tracker', 'train', 'dropout', 0.1),
    ('o2vis_lomm_tracker', 'train', 'sim_divisor', 'pairs'),
    ('dvis_tracker_r50', 'test', 'noise', True),
])
def test_settings_out_of_reach_are_refused(name, block, key, value):
    fixture = Fixture(DATA / name)
    fixture.run[block][key] = value
    runner = o2vis if name.startswith('o2vis') else dvis_tracker
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        runner.compute(fixture)
