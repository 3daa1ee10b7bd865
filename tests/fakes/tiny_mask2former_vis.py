"""Mask2Former-VIS small enough for a test."""
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from tests.fakes.tiny_mask2former import CONFIGS, tiny_config


def tiny_clip_config(**model):
    """Model config of 3 classes and 7 queries; settings are replaced."""
    base = Config.fromfile(CONFIGS / 'mask2former_vis.py')
    cfg = tiny_config()
    cfg.segmenter.decoder.update(base.mask2former_vis_segmenter.decoder)
    return Config(dict(cfg, **base.mask2former_vis)).to_dict() | model


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    return build(tiny_clip_config(**model), seed)


def build(cfg, seed=0):
    """A model whose classes and masks differ from query to query."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    built = MODELS.build(cfg)
    built.init_weights()
    nn.init.normal_(built.segmenter.decoder.query_feat.weight, std=3.)
    nn.init.normal_(built.segmenter.decoder.cls_embed.weight, std=.5)
    return built.train()
