"""Mask2Former-VIS small enough for a test."""
import torch
from mmengine.config import Config

from mmvis_memcnp.models.truth import ClipTruth
from tests.fakes.tiny_mask2former import CONFIGS, build, tiny_config
from tests.fakes.tiny_sipmask import batch, video


def tiny_clip_config(**model):
    """Model config of 3 classes and 7 queries; settings are replaced."""
    base = Config.fromfile(CONFIGS / 'mask2former_vis.py')
    cfg = tiny_config()
    cfg.segmenter.decoder.update(base.mask2former_vis_segmenter.decoder)
    return Config(dict(cfg, **base.mask2former_vis)).to_dict() | model


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    return build(tiny_clip_config(**model), seed)


def clips_of(count, frames, size=(64, 64), seed=0):
    """Noise (count, frames, 3, *size)."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(count, frames, 3, *size, generator=g)


def frames_of(model, num_frames, seed=0, size=(64, 64)):
    """Frames and their sizes, as a session gets them."""
    inputs, samples = batch(
        model, video(num_frames, size, seed), training=False)
    return inputs[0], [f.metainfo for f in samples[0].video_data_samples]


def truth_of(masks, labels):
    """Clips (B, G, T, H, W); an object is absent where its mask is empty."""
    present = masks.flatten(3).any(3)
    boxes = torch.zeros(*present.shape, 4)
    return ClipTruth(labels, boxes, boxes, masks, present, present.any(2),
                     torch.ones(len(masks), masks.shape[2], 2))
