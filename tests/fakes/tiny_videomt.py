"""VidEoMT small enough for a test."""
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from tests.fakes.tiny_mask2former import CONFIGS


def tiny_videomt_config(system='videomt', **model):
    """Model config of 3 classes and 7 queries; settings are merged.

    Args:
        system: ``videomt``, or ``eomt_frames`` of its first stage.
        model: settings.
    """
    cfg = Config.fromfile(CONFIGS / 'eomt_vit-t_small.py')
    cfg.merge_from_dict(dict(model=dict(
        Config.fromfile(CONFIGS / 'videomt.py')[system])))
    cfg.merge_from_dict(dict(model=dict(
        segmenter=dict(
            backbone=dict(embed_dims=32, depth=3, num_heads=4,
                          pos_grid=(4, 6)),
            num_classes=3, num_queries=7, num_blocks=2),
        matcher=dict(costs=dict(mask=dict(num_points=40))),
        loss=dict(num_points=40))))
    cfg.merge_from_dict(dict(model=model))
    return cfg.model.to_dict()


def tiny_model(seed=0, system='videomt', **model):
    """The model, in training mode, queries apart from each other."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    built = MODELS.build(tiny_videomt_config(system, **model))
    built.init_weights()
    # Classes and masks that differ; weights that matter.
    for module in built.segmenter.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
    nn.init.normal_(built.segmenter.query.weight, std=3.)
    nn.init.normal_(built.segmenter.cls_embed.weight, std=.5)
    return built.train()


def tiny_memcnp():
    """The model with MemCNP, whose gate is open; the rest as without."""
    built = tiny_model(memcnp=dict(type='MemCNP', num_items=8))
    built.load_state_dict(tiny_model().state_dict(), strict=False)
    nn.init.constant_(built.segmenter.memcnp.gate, .5)
    nn.init.normal_(built.segmenter.memcnp.box_branch.last.weight, std=.02)
    return built


def tiny_frames():
    """Its first stage."""
    return tiny_model(system='eomt_frames')
