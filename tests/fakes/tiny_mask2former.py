"""Mask2Former small enough for a test."""
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmvis_memcnp.models.truth.ground_truth import GroundTruth

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/_base_/models'


def tiny_config(num_classes=3, num_queries=7, **segmenter):
    """The shipped config, in two layers of 32 channels."""
    cfg = Config.fromfile(CONFIGS / 'mask2former_r50.py')
    encoder = dict(num_layers=2, embed_dims=32, num_heads=4,
                   feedforward_channels=48)
    cfg.merge_from_dict(dict(model=dict(
        segmenter=dict(
            backbone=dict(depth=18, base_channels=8, init_cfg=None),
            pixel_decoder=dict(in_channels=[8, 16, 32, 64], mask_dims=16,
                               num_groups=8, encoder=encoder),
            decoder=dict(num_classes=num_classes, num_queries=num_queries,
                         mask_dims=16, **encoder)),
        matcher=dict(costs=dict(mask=dict(num_points=40))),
        loss=dict(num_points=40))))
    cfg.model.segmenter.update(segmenter)
    return cfg.model


def tiny_segmenter(seed=0, **settings):
    """In eval mode, queries apart from each other."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(tiny_config(**settings).segmenter)
    model.init_weights()
    return model.eval()


def build(cfg, seed=0):
    """A system in training mode, whose classes and masks differ from query to
    query and, where there are such, from row to row."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    built = MODELS.build(cfg)
    built.init_weights()
    nn.init.normal_(built.segmenter.decoder.query_feat.weight, std=3.)
    for part in (built.segmenter.decoder, getattr(built, 'tracker', None),
                 getattr(built, 'refiner', None)):
        if hasattr(part, 'cls_embed'):
            nn.init.normal_(part.cls_embed.weight, std=.5)
    return built.train()


def build_offline(config, tracker, seed=0, **model):
    """A system with a refiner of two layers of the tracker's sizes.

    Args:
        config: name in the file of the config, and of the file.
        tracker: its config.
        seed: of the weights.
        model: settings; merged.
    """
    cfg = Config(dict(
        tiny_config(embed_dims=8, frozen=True), tracker=tracker))
    own = Config.fromfile(CONFIGS / f'{config}.py')[config]
    cfg.merge_from_dict(own.to_dict())
    cfg.merge_from_dict(dict(refiner=dict(num_layers=2, **{
        key: tracker[key] for key in (
            'num_classes', 'embed_dims', 'num_heads', 'feedforward_channels',
            'mask_dims')})))
    cfg.merge_from_dict(model)
    return build(cfg.to_dict(), seed)


def truth(masks, labels, valid=None):
    """Objects of B frames.

    Args:
        masks: (B, G, H, W).
        labels: (B, G).
        valid: (B, G); all by default.
    """
    masks, labels = torch.as_tensor(masks), torch.as_tensor(labels)
    valid = torch.ones_like(labels) if valid is None else valid
    valid = torch.as_tensor(valid).bool()
    return GroundTruth.of(
        torch.zeros(*labels.shape, 4), torch.ones(len(labels), 2), labels,
        torch.arange(labels.numel()).view_as(labels).where(valid, -1), valid,
        masks.bool())
