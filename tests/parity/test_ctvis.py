"""The runner of CTVIS takes its sizes, lengths and thresholds from the
manifest. Its official arrays are in test_models.py."""
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.converters import KEY_MAPS
from tests.data.seeded_weights import seeded_array
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems import ctvis, mask2former

FOLDER = Path(__file__).resolve().parents[1] / 'data/parity/ctvis_r50_video'


@pytest.mark.parametrize('block, key, value', [
    ('arch', 'levels', 4),
    ('test', 'match', 'hungarian'),
    ('test', 'memory', 'momentum'),
    ('test', 'mask_thr', 0.5),
    ('train', 'num_negatives', 10),
])
def test_settings_out_of_reach_are_refused(block, key, value):
    fixture = Fixture(FOLDER)
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        ctvis.compute(fixture)


def test_sizes_come_from_the_manifest(monkeypatch):
    """Other sizes, counts, lengths and another salt, two clips, sides that 4
    does not divide."""
    fixture = Fixture(FOLDER)
    run = fixture.run
    run['arch'].update(num_classes=7, num_queries=9, d=64, heads=4, ffn=96,
                       enc_layers=2, dec_layers=4, embed_dim=24)
    run['test'].update(top_k=5)
    run['train'].update(num_negatives=8, clip_frames=3)
    run['train']['points'].update(
        match=50, train=40, oversampled=80, uncertain=20)
    run['train']['random']['points'] = run['train']['random'][
        'points'].replace('20240000', '7').replace(
            'P = 12544 (matching), 37632 (oversampled), 3136 (random part)',
            'P = 50 (matching), 80 (oversampled), 20 (random part)')
    frames = dict(inference=[[6, 50, 70, 5]],
                  losses=[[3, 50, 70, 5], [3, 50, 70, 6]])
    for item in run['inputs']:
        item.update(frames=frames[item['part']], padded_hw=[53, 75],
                    ori_hw=[61, 40])
    # One comes back, one begins late, one stays; a clip with one object.
    ids = {0: np.array([[0, -1, 2], [-1, 1, 2], [0, 1, 2]]),
           1: np.array([[0], [0], [-1]])}
    masks = {b: np.zeros((*x.shape, 50, 70), bool) for b, x in ids.items()}
    for b, x in ids.items():
        masks[b][x >= 0, 10:30, 20:50] = True
    monkeypatch.setattr(fixture, 'targets', lambda: dict(
        ids=ids, masks=masks,
        labels={b: np.where(x < 0, 7, x) for b, x in ids.items()}))
    monkeypatch.setattr(fixture, 'npz', lambda file: {})
    init_default_scope('mmdet')
    own = MODELS.build(ctvis.model_config(
        fixture, mask2former.model_config(fixture))).state_dict()
    rename = KEY_MAPS['ctvis'].rename
    weights = {
        name: seeded_array(name, own[rename(name)].shape, dtype, 3)
        for name, _, dtype in fixture.manifest['tensors']
        if rename(name) in own}
    monkeypatch.setattr(fixture, 'weights', lambda part: weights)
    found = ctvis.compute(fixture)
    assert all(np.isfinite(x).all() for x in found.values()
               if x.dtype.kind == 'f')
    video = {k: v for (part, _, k), v in found.items() if part == 'inference'}
    assert video['pred_embeds'].shape == (6, 9, 24)
    assert video['video_logits'].shape[1] == 8
    assert video['video_masks_stats'].shape[1:] == (6, 14, 19)
    assert video['result_masks_packed'].shape == (5, 6, 61, 40)
    assert video['result_masks_packed'].any()
    assert sum(k.endswith('_kept') for k in video) == 6
    step = {k: v for (part, _, k), v in found.items() if part == 'losses'}
    # Object 0 comes back, 1 at its beginning (it looks ahead) and after, 2
    # stays for two frames; that of the second clip for one.
    assert step['ma_num_items'] == step['last_num_items'] == 6
    # Everyone in all frames but the first: three objects and one.
    assert step['noise_num_items'] == 8
    assert step['ma_items_num_neg'].tolist() == [9, 8, 9, 8, 8, 8]
    assert step['loss_ma_loss_reid'] != step['loss_last_loss_reid']
    assert step['gradnorm:ALL'] > 0
