"""CTVIS small enough for a test."""
from mmengine.config import Config

from tests.fakes import tiny_idol
from tests.fakes.tiny_mask2former import CONFIGS, build, tiny_config


def tiny_ctvis_config(**model):
    """Model config of 3 classes and 7 queries; settings are merged."""
    own = Config.fromfile(CONFIGS / 'ctvis.py').ctvis
    own.mask_nms_iou = .95  # masks of random weights are much alike
    cfg = Config(dict(tiny_config(embed_dims=8), **own))
    cfg.merge_from_dict(model)
    return cfg.to_dict()


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    return build(tiny_ctvis_config(**model), seed)


def tiny_deformable(**options):
    """The same training on IDOL's segmenter."""
    own = Config.fromfile(CONFIGS / 'ctvis.py')
    return tiny_idol.tiny_model(**dict(
        loss_embed=dict(own.ctvis_contrast, _delete_=True),
        tracker=own.ctvis_tracker) | options)
