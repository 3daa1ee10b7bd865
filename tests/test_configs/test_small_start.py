"""What the small query models start from."""
import logging
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.engine.checkpoint_check import (
    CheckpointCheckHook,
    compare_keys,
)

from .trees import config_of

#: Names of what single frames cannot teach.
OWN = dict(
    idol=(),
    seqformer=('frame_weight.', ),
    instanceformer=('memory', 'class_prior.', 'reference_prior.'),
    ctvis=('segmenter.embed_head.', ),
    dvis_daq=('tracker.', ),
    o2vis=('tracker.', ),
    mask2former_vis=(),
    ifr=('.frame_layers.', '.clip_layers.', '.cls_embed.'))

#: What of single frames has no place.
UNUSED = dict(ifr=('segmenter.decoder.layers.', ))


@pytest.mark.parametrize('host, variant', [
    ('idol', ''), ('idol', '-memcnp'), ('seqformer', ''),
    ('seqformer', '-memcnp'), ('instanceformer', ''), ('ctvis', ''),
    ('dvis_daq', ''), ('dvis_daq', '-memcnp'), ('o2vis', ''),
    ('mask2former_vis', ''), ('ifr', '')])
def test_all_of_it_is_used(host, variant):
    file = host.replace('_', '-') + variant
    cfg = config_of(f'{host}/{file}_r18_movingshapes')
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    checkpoint = load_checkpoint_file(cfg.load_from)
    runner = SimpleNamespace(model=model, cfg=cfg, _resume=False,
                             logger=logging.getLogger('test'))
    CheckpointCheckHook(strict=False).after_load_checkpoint(
        runner, checkpoint)
    report = compare_keys(checkpoint['state_dict'], model.state_dict())
    assert not report.reshaped
    assert all(name.startswith(('segmenter.embed_head.', *UNUSED.get(
        host, ()))) for name in report.unexpected)
    own = OWN[host] + (('box_branches.', 'memcnp') if variant else ())
    assert all(any(part in name for part in own) for name in report.missing)
    assert bool(report.missing) == bool(own)
    before = torch.clone(next(model.segmenter.parameters()))
    model.load_state_dict(checkpoint['state_dict'], strict=False)
    assert not torch.equal(before, next(model.segmenter.parameters()))
