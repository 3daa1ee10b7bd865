"""InstanceFormer, small enough for a test, and clips of any length."""
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmvis_memcnp  # noqa: F401  before mmdet: it fixes its imports
from tests.data.seeded_weights import seeded_array
from tests.fakes.tiny_sipmask import batch, frame, losses, noise, total, video

__all__ = ['batch', 'clip', 'frame', 'losses', 'noise', 'tiny_config',
           'tiny_model', 'total', 'video']

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/_base_/models'
#: Two objects that stay: identity, label, x1, y1, x2, y2.
OBJECTS = [(3, 0, 4, 6, 30, 40), (8, 2, 34, 10, 60, 50)]


def tiny_config(**model):
    """Config of a small model of 3 classes and 12 queries.

    Args:
        model: overrides of the model; None takes a part out.
    """
    cfg = Config.fromfile(CONFIGS / 'instanceformer_r18_small.py')
    sizes = dict(embed_dims=16, num_heads=2, feedforward_channels=32,
                 num_layers=2)
    cfg.merge_from_dict(dict(model=dict(
        segmenter=dict(
            backbone=dict(base_channels=8, norm_eval=True, init_cfg=None),
            neck=dict(in_channels=[16, 32, 64], out_channels=16,
                      norm_cfg=dict(num_groups=4)),
            encoder=sizes,
            decoder=sizes,
            mask_branch=dict(in_channels=16, hidden_channels=8),
            num_classes=3,
            num_queries=12),
        memory=dict(num_tokens=4, num_frames=2),
        class_prior=dict(num_frames=2),
        num_proposals=6)))
    for name, value in model.items():
        if isinstance(value, dict):
            cfg.merge_from_dict(dict(model={name: value}))
        else:
            cfg.model[name] = value
    return cfg


def tiny_model(salt=0, **model):
    """The model, in training mode, with weights that depend on the names
    alone, spread out so that queries differ."""
    init_default_scope('mmdet')
    built = MODELS.build(tiny_config(**model).model)
    state = {
        name: torch.from_numpy(
            np.asarray(
                seeded_array(name, value.shape,
                             str(value.dtype).removeprefix('torch.'), salt)))
        for name, value in built.state_dict().items()
    }
    state['segmenter.query_embed.weight'] *= 4
    built.load_state_dict(state)
    return built.train()


def clip(*frames, size=(64, 64), seed=0):
    """A clip of annotated frames; two frames of OBJECTS by default."""
    frames = frames or (OBJECTS, OBJECTS)
    sample = TrackDataSample(
        metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    sample.video_data_samples = [
        frame(objects, size, t) for t, objects in enumerate(frames)]
    return noise(len(frames), size, seed), sample
