"""Every system, small enough for a test, ready to follow videos."""
from collections.abc import Callable

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.models.vis import VIS
from tests.fakes import (
    tiny_idol,
    tiny_instanceformer,
    tiny_seqformer,
    tiny_sipmask,
)

_MINVIS = tiny_sipmask.CONFIGS.parents[1] / (
    'minvis/minvis_r18_movingshapes.py')
_WINDOW = dict(type='ClipMatching', length=3, stride=2)


def _minvis() -> VIS:
    init_default_scope('mmdet')
    torch.manual_seed(0)
    cfg = Config.fromfile(_MINVIS)
    layers = dict(num_layers=2, embed_dims=32, num_heads=4,
                  feedforward_channels=48)
    cfg.merge_from_dict(dict(model=dict(segmenter=dict(
        backbone=dict(base_channels=8, init_cfg=None),
        pixel_decoder=dict(in_channels=[8, 16, 32, 64], mask_dims=16,
                           encoder=layers),
        decoder=dict(num_classes=3, num_queries=12, mask_dims=16,
                     **layers)))))
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


#: Builders of 3 classes each; MinVIS from the config that is shipped.
SYSTEMS: dict[str, Callable[[], VIS]] = {
    'sipmask': lambda: tiny_sipmask.tiny_model('sipmask'),
    'sipmask-memcnp': tiny_sipmask.tiny_model,
    'idol': tiny_idol.tiny_model,
    'idol-memcnp': lambda: tiny_idol.tiny_model(file=tiny_idol.MEMCNP),
    'seqformer': tiny_seqformer.tiny_model,
    'seqformer-memcnp': lambda: tiny_seqformer.tiny_model(
        file=tiny_seqformer.MEMCNP),
    'seqformer in windows': lambda: tiny_seqformer.tiny_model(window=_WINDOW),
    'instanceformer': tiny_instanceformer.tiny_model,
    **({'minvis': _minvis} if _MINVIS.is_file() else {}),
}


def build(name: str) -> VIS:
    """A system in eval mode."""
    return SYSTEMS[name]().eval()
