"""IDOL small enough for a test; clips are those of the tiny SipMask."""
import logging
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmvis_memcnp  # noqa: F401  before mmdet: it fixes its imports

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/_base_/models'
PLAIN = CONFIGS / 'idol_r18_small.py'
#: With the memory, by whatever keys a config has it.
MEMCNP = CONFIGS.parents[1] / 'idol/idol-memcnp_r18_movingshapes.py'


def tiny_config(file=PLAIN, **options):
    """Config of a small model of 3 classes; the frozen statistics of its
    batch norm keep the images of a batch apart.

    Args:
        file: the config that is scaled down.
        options: overrides of the model, merged.
    """
    cfg = Config.fromfile(file)
    layers = dict(num_layers=2, embed_dims=32, num_heads=4,
                  feedforward_channels=32)
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(
                    base_channels=8, norm_eval=True, init_cfg=None),
                neck=dict(
                    in_channels=[16, 32, 64], out_channels=32,
                    norm_cfg=dict(num_groups=4)),
                encoder=layers, decoder=layers,
                mask_branch=dict(in_channels=32, hidden_channels=8),
                num_classes=3, num_queries=12)))
    cfg.merge_from_dict(dict(model=options))
    return cfg


def tiny_model(seed=0, spread=True, **options):
    """The model, in training mode, with random weights.

    Args:
        seed: of the weights.
        spread: let scores reach the thresholds and boxes differ, as a fresh
            head does not.
        options: see :func:`tiny_config`.
    """
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(tiny_config(**options).model)
    logging.disable(logging.INFO)  # a line a parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    if spread:
        for branch in model.cls_branches:
            torch.nn.init.normal_(branch.weight, std=0.5)
            torch.nn.init.constant_(branch.bias, -1.)
        for branch in model.box_branches:
            torch.nn.init.normal_(branch.last.weight, std=0.2)
    return model.train()
