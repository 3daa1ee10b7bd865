"""SipMask with and without MemCNP, small enough for a test, and clips."""
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmvis_memcnp  # noqa: F401  before mmdet: it fixes its imports
from tests.data.seeded_weights import seeded_array

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/_base_/models'
#: One object a line: identity, label, x1, y1, x2, y2.
KEY = [(3, 0, 4, 6, 30, 40), (8, 2, 34, 10, 60, 50)]
REF = [(8, 2, 30, 12, 56, 52), (3, 0, 6, 6, 32, 40)]


def tiny_config(kind='memcnp', **head):
    """Config of a small model of 3 classes; the frozen statistics of its
    batch norm keep the images of a batch apart.

    Args:
        kind: 'memcnp' or 'sipmask'.
        head: overrides of the head.
    """
    stem = 'sipmask-memcnp' if kind == 'memcnp' else 'sipmask'
    cfg = Config.fromfile(CONFIGS / f'{stem}_r18_small.py')
    own = dict(memcnp=dict(num_items=8), side_unit=None) \
        if kind == 'memcnp' else dict(
            basis_channels=4, track_channels=8,
            regress_ranges=((-1, 24), (24, 48), (48, 96), (96, 1e8)))
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(base_channels=8, norm_eval=True),
                neck=dict(
                    in_channels=[8, 16, 32, 64],
                    out_channels=16,
                    start_level=1,
                    num_outs=4),
                bbox_head=dict(
                    num_classes=3,
                    in_channels=16,
                    feat_channels=16,
                    strides=(8, 16, 32, 64),
                    norm_cfg=dict(num_groups=4),
                    ref_jitter=0.,
                    test_cfg=dict(score_thr=0.1, max_per_img=4),
                    **own))))
    for name, value in head.items():  # replaced, not merged
        cfg.model.bbox_head[name] = value
    return cfg


def tiny_model(kind='memcnp', salt=0, **head):
    """The model, in training mode, with weights that depend on the names
    alone. A fresh head would find no box of any size; these boxes are large
    enough for masks."""
    init_default_scope('mmdet')
    model = MODELS.build(tiny_config(kind, **head).model)
    state = {
        name: torch.from_numpy(
            np.asarray(
                seeded_array(name, value.shape,
                             str(value.dtype).removeprefix('torch.'), salt)))
        for name, value in model.state_dict().items()
    }
    state['bbox_head.fcos_reg.bias'] += 1.5 if kind == 'sipmask' else -0.5
    if kind == 'sipmask':  # as in a fresh head
        for name, value in state.items():
            if '.scales.' in name:
                value.fill_(1.)
    model.load_state_dict(state)
    return model.train()


def frame(objects, size, frame_id=0):
    """Annotated frame of height and width ``size``; boxes are the masks."""
    height, width = size
    masks = np.zeros((len(objects), height, width), np.uint8)
    for mask, (_, _, x1, y1, x2, y2) in zip(masks, objects, strict=True):
        mask[y1:y2, x1:x2] = 1
    table = np.asarray(objects, np.int64).reshape(-1, 6)
    sample = DetDataSample(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            scale_factor=(1., 1.),
            frame_id=frame_id))
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(table[:, 2:]).float(),
        labels=torch.from_numpy(table[:, 1]),
        instances_ids=torch.from_numpy(table[:, 0]),
        masks=BitmapMasks(masks, height, width))
    return sample


def clip(key=KEY, ref=REF, size=(64, 64), seed=0):
    """A key and a reference frame as a dataset gives them."""
    sample = TrackDataSample(
        metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    sample.video_data_samples = [frame(key, size), frame(ref, size, 1)]
    return noise(2, size, seed), sample


def video(num_frames=3, size=(64, 64), seed=0):
    """Frames without annotation."""
    sample = TrackDataSample()
    sample.video_data_samples = [frame([], size, t) for t in range(num_frames)]
    return noise(num_frames, size, seed), sample


def noise(num_frames, size, seed):
    """(T, 3, H, W) uint8, smooth blobs that differ from frame to frame."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num_frames, 3, 5, 6, generator=g) * 255
    return torch.nn.functional.interpolate(
        coarse, size=size, mode='bilinear').to(torch.uint8)


def batch(model, *clips, training=True):
    """Clips through the model's preprocessor: inputs and samples."""
    data = model.data_preprocessor(
        dict(
            inputs=[c[0] for c in clips],
            data_samples=[c[1] for c in clips]), training)
    return data['inputs'], data['data_samples']


def losses(model, *clips):
    """Losses of a batch of clips."""
    return model(*batch(model, *clips), mode='loss')


def total(values):
    """What is minimised."""
    return sum(v for k, v in values.items() if 'loss' in k)
