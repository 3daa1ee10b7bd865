"""Mask2Former small enough for a test."""
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

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
