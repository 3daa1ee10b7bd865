"""Checkpoints of this model, of another, and of other classes."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from test_resume import config
from toy_vis import ToyVIS

from mmvis_memcnp.engine import CheckpointCheckHook
from mmvis_memcnp.engine.checkpoint_check import (
    class_channels,
    compare_keys,
    is_class_head,
)
from mmvis_memcnp.errors import UserError
from tests.fakes.tiny_instanceformer import tiny_model


def shapes(**kwargs):
    return {name.replace('__', '.'): torch.zeros(shape)
            for name, shape in kwargs.items()}


def test_keys_are_sorted_into_four_heaps():
    report = compare_keys(
        shapes(a=(1, ), b=(2, 3), c=(4, )),
        shapes(a=(1, ), b=(3, 3), d=(5, ), bn__num_batches_tracked=()))
    assert report.matched == ['a']
    assert report.missing == ['d']
    assert report.unexpected == ['c']
    assert report.reshaped == {'b': ((2, 3), (3, 3))}


@pytest.mark.parametrize('old, new, channels, expected', [
    ((40, 256, 3, 3), (3, 256, 3, 3), {3}, True),
    ((40, ), (3, ), {3}, True),
    ((120, 256, 1, 1), (9, 256, 1, 1), {3}, True),  # three anchors
    ((41, 256), (9, 256), {3}, False),  # 41 is no multiple of 3 anchors
    ((40, 256), (3, 128), {3}, False),  # the width differs as well
    ((512, 64), (256, 64), {3}, False),  # channels, not 64 anchors
    ((40, 256), (3, 256, 1), {3}, False),
    ((40, 256), (3, 256), {7}, False),
    ((40, 256), (3, 256), set(), False),
    ((), (), {3}, False),
])
def test_class_heads(old, new, channels, expected):
    assert is_class_head(old, new, channels) is expected


@pytest.mark.parametrize('offset, extra', [
    (0, set()),
    (1, {5}),  # channels 0 and K + 1 beside K: the model says so
])
def test_channels_of_class_heads(offset, extra):
    """One a class, perhaps one for "no object", and what modules add."""
    model = tiny_model(class_offset=offset)
    cfg = dict(num_classes=3, part=dict(num_classes=7))
    assert class_channels(cfg, model) == {3, 4, 7, 8} | extra


def load(strict, model, checkpoint, num_classes):
    said = []
    logger = SimpleNamespace(info=said.append, warning=said.append)
    runner = SimpleNamespace(
        model=model, logger=logger, _resume=False,
        cfg=Config(dict(model=dict(num_classes=num_classes))))
    CheckpointCheckHook(strict).after_load_checkpoint(runner, checkpoint)
    return said


def test_own_checkpoint_passes_in_silence():
    checkpoint = dict(state_dict=ToyVIS().state_dict())
    for strict in (True, False):
        assert load(strict, ToyVIS(), checkpoint, 1) == []


def test_initial_weights_may_be_a_part():
    weights = ToyVIS().state_dict()
    part = {k: v for k, v in weights.items() if k.startswith('backbone')}
    part['other'] = torch.zeros(1)
    said = load(False, ToyVIS(), dict(state_dict=part), 1)
    assert said == [
        '4 weights are not in the checkpoint and keep their initial values: '
        'steps, memory, head.weight and 1 more.',
        '1 weights of the checkpoint are not used: other.',
    ]
    with pytest.raises(UserError, match='4 weights are missing'):
        load(True, ToyVIS(), dict(state_dict=part), 1)


def test_other_shapes_are_refused():
    weights = ToyVIS().state_dict()
    weights['backbone.weight'] = torch.zeros(8, 3, 1, 1)
    with pytest.raises(UserError, match='backbone.weight of shape'):
        load(False, ToyVIS(), dict(state_dict=weights), 20)


@pytest.mark.parametrize('offset, stored', [(0, True), (0, False), (1, True)])
def test_query_models_start_from_other_classes(offset, stored):
    """All but what is of the classes is taken over, from COCO's stage too,
    which has no memory."""
    parts = dict() if stored else dict(memory=None, contrast=None)
    old = tiny_model(salt=1, num_classes=5, class_offset=offset, **parts)
    new = tiny_model(salt=2, class_offset=offset)
    own = {k: v.clone() for k, v in new.state_dict().items()}
    weights = {k: v.clone() for k, v in old.state_dict().items()}
    checkpoint = dict(state_dict=dict(weights))
    load(False, new, checkpoint, 3)
    report = new.load_state_dict(checkpoint['state_dict'], strict=False)
    assert not report.unexpected_keys
    found = new.state_dict()
    for name, value in found.items():
        if name == 'memory.project.weight' and stored:
            assert torch.equal(value[:, :16], weights[name][:, :16])
            assert torch.equal(value[:, 16:-4], own[name][:, 16:-4])
            assert torch.equal(value[:, -4:], weights[name][:, -4:])
        elif name in weights and not name.startswith(
                ('cls_branches', 'class_prior')):
            assert torch.equal(value, weights[name]), name
        else:
            assert torch.equal(value, own[name]), name


def test_origin_is_read_and_never_run(tmp_path):
    """The text of a config in a checkpoint is data."""
    trap = tmp_path / 'ran'
    text = (f"open({str(trap)!r}, 'w')\n"
            "model = dict(neck=dict(type='FPN'), type='IDOL')")
    checkpoint = dict(
        state_dict=dict(x=torch.zeros(1)), meta=dict(cfg=text, config=text))
    with pytest.raises(UserError, match='saved while training IDOL'):
        load(True, ToyVIS(), checkpoint, 1)

    cfg = config(tmp_path, False, num_workers=0)
    cfg.train_cfg.max_iters = 1
    Runner.from_cfg(cfg).train()
    saved = torch.load(tmp_path / 'iter_1.pth', weights_only=False)
    saved['meta']['config'] = text
    torch.save(saved, tmp_path / 'trap.pth')
    cfg.custom_hooks.append(dict(type='CheckpointCheckHook', strict=True))
    cfg.merge_from_dict(
        dict(resume=True, load_from=str(tmp_path / 'trap.pth')))
    Runner.from_cfg(cfg).train()
    assert not trap.exists()
