"""O2VIS small enough for a test."""
from mmengine.config import Config

from tests.fakes.tiny_mask2former import (
    CONFIGS,
    build,
    build_offline,
    tiny_config,
)

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
    return build(tiny_o2vis_config(**model), seed)


def alone(**model):
    """T_E alone: Table 3 (a), row 6."""
    return tiny_model(tracker=dict(num_aligning=0), early_share=1., **model)


def offline(seed=4, **model):
    """With a refiner, in training mode, with random weights."""
    return build_offline(
        'o2vis_offline', tiny_o2vis_config()['tracker'], seed, **model)


def referring(**model):
    """The tracker of DVIS++ in its place."""
    return tiny_model(tracker=dict(
        SIZES, _delete_=True, type='ReferringTracker', num_layers=2,
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')), **model)
