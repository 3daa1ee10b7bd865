"""DVIS-DAQ small enough for a test, and clips of several frames."""
from mmdet.structures import TrackDataSample
from mmengine.config import Config
from torch import nn

from tests.fakes.tiny_mask2former import (
    CONFIGS,
    build,
    build_offline,
    tiny_config,
)
from tests.fakes.tiny_sipmask import frame, noise

#: Five objects: identity, label, x1, y1, x2, y2.
OBJECTS = [(3, 0, 4, 6, 30, 40), (8, 2, 34, 10, 60, 50), (9, 1, 2, 44, 20, 60),
           (11, 1, 24, 48, 50, 62), (12, 0, 36, 2, 60, 9)]


def tiny_dvis_daq_config(**model):
    """Model config of 3 classes and 7 queries; settings are merged."""
    own = Config.fromfile(CONFIGS / 'dvis_daq.py').dvis_daq
    cfg = Config(dict(tiny_config(embed_dims=8, frozen=True), **own))
    cfg.merge_from_dict(dict(tracker=dict(
        num_classes=3, num_layers=2, embed_dims=32, num_heads=4,
        feedforward_channels=48, mask_dims=16, num_slots=2)))
    cfg.merge_from_dict(model)
    return cfg.to_dict()


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    return build(tiny_dvis_daq_config(**model), seed)


def tiny_memcnp():
    """The model with MemCNP, whose gate is open; the rest as without."""
    built = tiny_model(memcnp=dict(type='MemCNP', num_items=8))
    built.load_state_dict(tiny_model().state_dict(), strict=False)
    nn.init.constant_(built.tracker.memcnp.gate, .5)
    nn.init.normal_(built.tracker.memcnp.box_branch.last.weight, std=.02)
    return built


def tiny_offline(seed=0, **model):
    """DVIS-DAQ offline, in training mode, with random weights."""
    return build_offline(
        'dvis_daq_offline', tiny_dvis_daq_config()['tracker'], seed,
        **dict(dict(min_frames=2), **model))


def long_clip(objects=None, size=(64, 64), seed=0):
    """A clip as a dataset gives it.

    Args:
        objects: Of each frame; by default five frames with all five objects,
            of which the second is away in the third frame.
        size: height and width.
        seed: of the pixels.
    """
    if objects is None:
        objects = [OBJECTS] * 2 + [OBJECTS[:1] + OBJECTS[2:]] + [OBJECTS] * 2
    sample = TrackDataSample()
    sample.video_data_samples = [
        frame(own, size, t) for t, own in enumerate(objects)]
    return noise(len(objects), size, seed), sample
