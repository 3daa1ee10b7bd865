"""O2VIS small enough for a test."""
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from tests.fakes.tiny_mask2former import CONFIGS, tiny_config

SIZES = dict(num_classes=3, embed_dims=32, num_heads=4,
             feedforward_channels=48, mask_dims=16)


def tiny_o2vis_config(**model):
    """Model config of 3 classes and 7 queries; settings are merged."""
    own = Config.fromfile(CONFIGS / 'o2vis.py').o2vis
    cfg = Config(tiny_config(embed_dims=8, frozen=True))
    cfg.merge_from_dict(own.to_dict())
    cfg.merge_from_dict(dict(tracker=dict(
        SIZES, num_existing=2, num_aligning=2)))
    cfg.merge_from_dict(model)
    return cfg.to_dict()


def tiny_model(seed=1, **model):
    """The model, in training mode, queries apart from each other. Other seeds
    have objects that two rows suit alike."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    built = MODELS.build(tiny_o2vis_config(**model))
    built.init_weights()
    # Classes and masks that differ.
    nn.init.normal_(built.segmenter.decoder.query_feat.weight, std=3.)
    nn.init.normal_(built.segmenter.decoder.cls_embed.weight, std=.5)
    nn.init.normal_(built.tracker.cls_embed.weight, std=.5)
    return built.train()


def alone(**model):
    """T_E alone: Table 3 (a), row 6."""
    return tiny_model(tracker=dict(num_aligning=0), early_share=1., **model)


def offline(seed=4, **model):
    """With a refiner, in training mode, with random weights."""
    tracker = tiny_o2vis_config()['tracker']
    cfg = Config(dict(
        tiny_config(embed_dims=8, frozen=True), tracker=tracker))
    own = Config.fromfile(CONFIGS / 'o2vis_offline.py').o2vis_offline
    cfg.merge_from_dict(own.to_dict())
    cfg.merge_from_dict(dict(refiner=dict(SIZES, num_layers=2)))
    cfg.merge_from_dict(model)
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    built = MODELS.build(cfg.to_dict())
    built.init_weights()
    nn.init.normal_(built.segmenter.decoder.query_feat.weight, std=3.)
    for part in (built.segmenter.decoder, built.tracker, built.refiner):
        nn.init.normal_(part.cls_embed.weight, std=.5)
    return built.train()


def referring(**model):
    """The tracker of DVIS++ in its place."""
    return tiny_model(tracker=dict(
        SIZES, _delete_=True, type='ReferringTracker', num_layers=2,
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')), **model)
