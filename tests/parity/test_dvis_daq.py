"""The runner of DVIS-DAQ takes its sizes, lengths and thresholds from the
manifest. Its official arrays are in test_models.py."""
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.converters import KEY_MAPS
from tests.data.seeded_weights import seeded_array
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems import dvis_daq
from tests.parity.test_models import DATA


@pytest.fixture()
def fixture():
    return Fixture(DATA / 'dvis_daq_r50_ytvis')


@pytest.mark.parametrize('block, key, value', [
    ('arch', 'levels', 4),
    ('arch', 'num_new_ins', 50),
    ('test', 'mask_thr', 0.5),
    ('train', 'normaliser', 'all pairs'),
    ('train', 'random', dict(points='drawn', frames='all 5 used',
                             disappearance='never')),
])
def test_settings_out_of_reach_are_refused(fixture, block, key, value):
    fixture.run[block][key] = value
    with pytest.raises(ManifestError, match=f'{block}.{key}'):
        dvis_daq.compute(fixture)


@pytest.mark.parametrize('by_slots', [False, True])
def test_sizes_come_from_the_manifest(fixture, monkeypatch, by_slots):
    """Other sizes, counts, lengths and another salt, sides that 4 does not
    divide, decisions of OVIS."""
    run = fixture.run
    run['arch'].update(num_classes=7, num_queries=9, num_new_ins=9, d=64,
                       heads=4, ffn=96, enc_layers=2, dec_layers=4,
                       tracker_layers=3, num_slots=2)
    run['test'].update(top_k=5, ovis_infer=by_slots, dis_fg_threshold=.01,
                       aux_inference_select_threshold=.01,
                       inference_select_threshold=.01)
    run['train'].update(clip_frames=3, training_select_threshold=.01)
    run['train']['random']['frames'] = 'all 3 used'
    for item in run['inputs']:
        item.update(frames=[[4, 50, 70, 5]], padded_hw=[53, 75],
                    ori_hw=[61, 40])
        if item['part'] == 'losses':
            item.update(take_frames=[0, 1, 2])
    boxes = np.full((3, 2, 4), -1)
    boxes[:, 0] = boxes[1:, 1] = 20, 10, 50, 30
    masks = np.zeros((2, 3, 50, 70), bool)
    masks[0, :, 10:30, 20:50] = masks[1, 1:, 10:30, 20:50] = True
    monkeypatch.setattr(fixture, 'targets', lambda: dict(
        boxes=boxes, masks=masks, labels=np.array([2, 6])))
    init_default_scope('mmdet')
    own = MODELS.build(dvis_daq.model_config(fixture)).state_dict()
    rename = KEY_MAPS['dvis_daq'].rename
    weights = {
        name: seeded_array(name, own[rename(name)].shape, dtype, 3)
        for name, _, dtype in fixture.manifest['tensors']
        if rename(name) in own}
    monkeypatch.setattr(fixture, 'weights', lambda part: weights)
    found = dvis_daq.compute(fixture)
    assert all(np.isfinite(x).all() for x in found.values()
               if x.dtype.kind == 'f')
    video = {k: v for (part, _, k), v in found.items() if part == 'inference'}
    assert video['segmenter/pred_logits'].shape == (4, 9, 8)
    assert video['tracker/t0/logits_last'].shape == (9, 8)
    assert video['tracker/t1/logits_last'].shape == (18, 8)
    assert video['tracker/t1/slot_logits'].shape == (9 + 2, 8)
    assert video['tracker/t1/states_layer'].shape == (4, 18, 64)
    assert video['result/masks_packed'].shape == (5, 4, 61, 40)
    step = {k: v for (part, _, k), v in found.items() if part == 'losses'}
    for case in ('stage2', 'stage3'):
        assert step[f'{case}/t0/match_gt'].tolist() == [0]
        assert sorted(step[f'{case}/t2/match_gt']) == [0, 1]
        assert f'{case}/loss_ce_2' in step
        assert f'{case}/loss_ce_3' not in step
        assert f'{case}/slot_loss_ce_1' in step
        assert torch.tensor([float(v) for k, v in step.items()
                             if k.startswith(f'{case}/loss')]).min() > 0
    assert step['stage3/t1/num_queries'] == 18
