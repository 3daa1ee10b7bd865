"""The runners of Mask2Former-VIS and IFR take their sizes, counts and lengths
from the manifest. Their arrays are in test_models.py."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.converters import KEY_MAPS
from tests.data.seeded_weights import seeded_array
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems import ifr, mask2former_video

DATA = Path(__file__).resolve().parents[1] / 'data/parity'
VIDEO, READING = (DATA / n for n in ('mask2former_vis_r50_video',
                                     'ifr_decoder_reading'))


@pytest.mark.parametrize('folder, system, block, key, value', [
    (VIDEO, mask2former_video, 'arch', 'levels', 4),
    (VIDEO, mask2former_video, 'test', 'whole_video', False),
    (VIDEO, mask2former_video, 'test', 'mask_thr', 0.5),
    (VIDEO, mask2former_video, 'train', 'normaliser', 'one'),
    (READING, ifr, 'test', 'whole_video', False),
    (READING, ifr, 'train', 'random', dict(points='drawn')),
])
def test_settings_out_of_reach_are_refused(folder, system, block, key, value):
    fixture = Fixture(folder)
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        system.compute(fixture)


def test_sizes_of_mask2former_vis(monkeypatch):
    """Two clips of three frames, sides that nothing divides, objects that are
    absent in the last frame or all but one."""
    fixture = Fixture(VIDEO)
    run = fixture.run
    run['arch'].update(num_classes=7, num_queries=9, d=64, heads=4, ffn=96,
                       enc_layers=2, dec_layers=4)
    run['test'].update(top_k=5)
    run['train']['points'].update(
        match=50, train=40, oversampled=80, uncertain=20)
    frames = dict(inference=[[4, 50, 70, 5]],
                  losses=[[3, 50, 70, 5], [3, 50, 70, 6]])
    for item in run['inputs']:
        item.update(frames=frames[item['part']], padded_hw=[53, 75],
                    ori_hw=[61, 40])
    ids = {0: np.array([[0, -1, 2], [-1, -1, 2], [-1, 1, 2]]),
           1: np.array([[0], [0], [-1]])}
    masks = {b: np.zeros((*x.shape, 50, 70), bool) for b, x in ids.items()}
    for b, x in ids.items():
        masks[b][x >= 0, 10:30, 20:50] = True
    monkeypatch.setattr(fixture, 'targets', lambda: dict(
        ids=ids, masks=masks, labels={0: np.array([1, 4, 6]),
                                      1: np.array([0])}))
    init_default_scope('mmdet')
    own = MODELS.build(mask2former_video.model_config(fixture)).state_dict()
    rename = KEY_MAPS['mask2former'].rename
    weights = {
        name: seeded_array(name, own[rename(name)].shape, dtype, 3)
        for name, _, dtype in fixture.manifest['tensors']
        if rename(name) in own}
    monkeypatch.setattr(fixture, 'weights', lambda part: weights)
    found = mask2former_video.compute(fixture)
    assert all(np.isfinite(x).all() for x in found.values()
               if x.dtype.kind == 'f')
    video = {k: v for (part, _, k), v in found.items() if part == 'inference'}
    assert video['pred_masks_sub'].shape == (9, 4, 14, 19)
    assert video['pos3d_2_sub'].shape == (4, 64, 7, 10)
    assert video['aux3_logits'].shape == (9, 8)
    assert video['result_masks_packed'].shape == (5, 4, 61, 40)
    assert (np.diff(video['result_scores']) <= 0).all()
    step = {k: v for (part, _, k), v in found.items() if part == 'losses'}
    assert sorted(step['match_last'][:, ::2].tolist()) == [
        [0, 0], [0, 1], [0, 2], [1, 0]]
    assert step['total_loss'] > 0 and step['gradnorm:ALL'] > 0
    assert 'loss_loss_ce_3' in step and 'loss_loss_ce_4' not in step


def test_sizes_of_ifr(monkeypatch):
    """Two scales that differ from the stored ones, four frames, six layers,
    an object that is absent in two frames."""
    fixture = Fixture(READING)
    fixture.run['arch'].update(num_classes=3, d=16, heads=2, ffn=24,
                               num_queries=5, layers=5, memory_levels=2)
    g = np.random.default_rng(0)
    given = dict(
        memories={0: g.standard_normal((4, 16, 3, 5), np.float32),
                  1: g.standard_normal((4, 16, 6, 9), np.float32)},
        mask_features=g.standard_normal((4, 16, 11, 17), np.float32))
    masks = np.zeros((2, 4, 11, 17), np.uint8)
    masks[0, :, 2:6, 3:9] = masks[1, 2:, 4:10, 8:15] = 1
    monkeypatch.setattr(fixture, 'arrays', lambda part: given)
    monkeypatch.setattr(fixture, 'targets', lambda: dict(
        masks=masks, labels=np.array([2, 0]),
        assigned_queries=np.array([4, 1])))
    monkeypatch.setattr(ifr, 'rename', lambda name: name)
    with monkeypatch.context() as patch:
        patch.setattr(fixture, 'weights', lambda part: {})
        patch.setattr(torch.nn.Module, 'load_state_dict', lambda *a, **k: 0)
        shapes = ifr.build(fixture).state_dict()
    weights = {k: seeded_array(k, v.shape, 'float32', 3)
               for k, v in shapes.items()}
    monkeypatch.setattr(fixture, 'weights', lambda part: weights)
    found = {k: v for (_, _, k), v in ifr.compute(fixture).items()}
    assert found['logits'].shape == (6, 5, 3)
    assert found['masks'].shape == (6, 4, 5, 11, 17)
    assert found['frame_queries'].shape == (5, 4, 5, 16)
    assert found['clip_queries'].shape == (6, 5, 16)
    assert found['match'][:, 1].tolist() in ([0, 1], [1, 0])
    assert found['loss_mask'] > found['loss_mask_own'] > 0
    assert all(np.isfinite(x).all() for x in found.values())
