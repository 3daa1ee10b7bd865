"""Checkpoints of Mask2Former in Mask2Former-VIS and IFR: what fits, what is
new, what is left over."""
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.engine.checkpoint_check import CheckpointCheckHook
from tests.test_configs.trees import build, config_of

MANIFEST = (Path(__file__).resolve().parents[1] /
            'data/parity/mask2former_vis_r50_video/manifest.json')
VIS = 'mask2former_vis/mask2former-vis_r50_8xb2-6k_youtubevis2019'


def official(classes=40, queries=100):
    """An official state dict, shapes alone."""
    tensors = json.loads(MANIFEST.read_text())['tensors']
    state = {name: torch.empty(shape, device='meta')
             for name, shape, _ in tensors}
    head = 'sem_seg_head.predictor.'
    for name in (n for n in state if n.startswith(f'{head}class_embed.')):
        state[name] = state[name].new_empty(
            (classes + 1, *state[name].shape[1:]))
    for name in ('query_feat', 'query_embed'):
        state[f'{head}{name}.weight'] = torch.empty(
            (queries, 256), device='meta')
    return KEY_MAPS['mask2former'].convert(state)


@pytest.mark.parametrize('change, message', [
    (lambda state: None, None),
    (lambda state: state.popitem(), 'missing'),
    (lambda state: state.update(other=torch.zeros(1)), 'unexpected: other'),
])
def test_video_checkpoints_fit_to_the_last_tensor(change, message):
    state = official()
    change(state)
    if message is None:
        return check_against(build(VIS), state)
    with pytest.raises(ValueError, match=message):
        check_against(build(VIS), state)


def start(name, state):
    """What is said when a training starts from a checkpoint."""
    said = []
    runner = SimpleNamespace(
        model=build(name), cfg=config_of(name), _resume=False,
        logger=SimpleNamespace(info=said.append, warning=said.append))
    CheckpointCheckHook(strict=False).after_load_checkpoint(
        runner, dict(state_dict=state))
    return said


def test_coco_starts_mask2former_vis():
    """All of it but the classes."""
    state = official(classes=80)
    said, = start(VIS, state)
    assert said.startswith('The class head of the checkpoint has 81 channels')
    new = {f'segmenter.decoder.cls_embed.{n}' for n in ('weight', 'bias')}
    assert all(name in said for name in new)
    assert build(VIS).state_dict().keys() - state.keys() == new


@pytest.mark.parametrize('name, queries', [
    ('ifr/ifr_r50_8xb2-6k_youtubevis2019', 100),
    ('ifr/ifr_r50_8xb2-6k_youtubevis2019', 200)])
def test_coco_starts_ifr_and_what_is_new_is_named(name, queries):
    state = official(classes=80, queries=queries)
    said = '\n'.join(start(name, state))
    for part in ('segmenter.decoder.frame_layers (162)',
                 'segmenter.decoder.clip_layers (162)',
                 'segmenter.decoder.cls_embed'):
        assert part in said, part
    assert '162 weights of the checkpoint are not used: ' \
        'segmenter.decoder.layers (162).' in said
    own = build(name).state_dict()
    kept = {k: v for k, v in state.items() if k in own}
    assert all(v.shape == own[k].shape for k, v in kept.items())
    assert own.keys() - kept.keys() == {
        k for k in own if '_layers.' in k or '.cls_embed.' in k}
