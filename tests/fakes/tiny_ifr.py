"""IFR small enough for a test."""
from mmengine.config import Config

from tests.fakes.tiny_mask2former import CONFIGS, build, tiny_config


def tiny_ifr_config(**model):
    """Model config of 3 classes and 7 queries; settings are replaced."""
    base = Config.fromfile(CONFIGS / 'ifr.py')
    cfg = Config(dict(model=tiny_config()))
    cfg.merge_from_dict(dict(model=dict(base.ifr, segmenter=dict(
        decoder=base.ifr_segmenter.decoder))))
    cfg.model.loss.num_points = 40
    return cfg.model.to_dict() | model


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    return build(tiny_ifr_config(**model), seed)
