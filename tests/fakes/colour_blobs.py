"""A VIS system whose answers are known: it finds red, green and blue.

It is an ``OnlineVIS`` with a session as any other, so
whatever feeds a system can be tested without training one.
"""
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import nn

from mmvis_memcnp.models.vis import OnlineVIS
from mmvis_memcnp.results import FrameInstances, MaskSource

CLASSES = ('red blob', 'green blob', 'blue blob')


class FirstSeenTracker(nn.Module):
    """Numbers the colours in the order in which they appear."""

    def start(self):
        return {}

    def step(self, state, detections):
        state = dict(state)
        ids = [state.setdefault(int(label), len(state))
               for label in detections.labels]
        return SimpleNamespace(ids=torch.tensor(ids, dtype=torch.long)), state


@MODELS.register_module()
class ColourBlobVIS(OnlineVIS):
    """Finds the pure red, green and blue pixels of a frame.

    Scores are .9, .8 and .7. The standard deviation of a box is .1 plus the
    share of the frame that the box covers.
    """

    def __init__(self, with_sigmas=True, num_classes=3, **kwargs):
        super().__init__(**kwargs)
        self.backbone = nn.Conv2d(3, 4, 1)
        self.bbox_head = nn.Linear(4, num_classes)
        self.tracker = FirstSeenTracker()
        self.with_sigmas = with_sigmas

    def encode(self, frames, metas):
        return [self._find(frame, meta)
                for frame, meta in zip(frames, metas, strict=True)]

    def instances(self, tracked, meta):
        return FrameInstances(
            tracked.instances_id,
            MaskSource(tracked.mask_probs, meta, 'paste', 1, .5), meta,
            class_scores=tracked.class_scores, boxes=tracked.bboxes,
            sigmas=tracked.get('box_sigmas'))

    def _forward(self, inputs):
        return self.bbox_head(self.backbone(inputs.flatten(0, 1)).mean((2, 3)))

    def _find(self, frame, meta):
        others = frame.sum(0) - frame
        masks = (frame > 150) & (others < 150)
        labels = masks.flatten(1).any(1).nonzero()[:, 0]
        masks = masks[labels]
        boxes = torch.zeros(len(labels), 4)
        for i, mask in enumerate(masks):
            y, x = mask.nonzero(as_tuple=True)
            boxes[i] = torch.stack([x.min(), y.min(), x.max() + 1,
                                    y.max() + 1])
        scale = torch.tensor([*meta['scale_factor']] * 2)
        found = InstanceData(
            bboxes=boxes / scale, scores=torch.tensor([.9, .8, .7])[labels],
            labels=labels, embeds=torch.eye(3)[labels],
            class_scores=torch.diag(torch.tensor([.9, .8, .7]))[labels],
            mask_probs=masks.float())
        if self.with_sigmas:
            share = (boxes[:, 2:] - boxes[:, :2]).prod(1) / frame[0].numel()
            found.box_sigmas = (.1 + share)[:, None].repeat(1, 4).clamp(max=1)
        return found


def config(scale=(64, 48), **model):
    """Config whose test pipeline resizes to ``scale`` (w, h)."""
    pipeline = [
        dict(type='TransformBroadcaster', transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=scale, keep_ratio=True),
            dict(type='LoadVISAnnotations'),
        ]),
        dict(type='PackTrackInputs'),
    ]
    dataset = dict(type='VISDataset', metainfo=dict(classes=CLASSES),
                   pipeline=pipeline)
    return Config(dict(
        default_scope='mmdet',
        custom_imports=dict(
            imports=['mmvis_memcnp', 'tests.fakes.colour_blobs'],
            allow_failed_imports=False),
        model=dict(
            type='ColourBlobVIS', num_classes=3,
            data_preprocessor=dict(
                type='TrackDataPreprocessor', mean=[0., 0., 0.],
                std=[1., 1., 1.], bgr_to_rgb=True, pad_size_divisor=32),
            **model),
        test_dataloader=dict(dataset=dataset)))


def clip(num_frames=6, height=48, width=64):
    """Frames (BGR) with a red box that moves right and a green one that
    comes in frame 2 and leaves with the last frame; grey ground."""
    frames = np.full((num_frames, height, width, 3), 90, np.uint8)
    for t, frame in enumerate(frames):
        left = 4 + 4 * t
        frame[8:24, left:left + 12] = (0, 0, 255)
        if 2 <= t < num_frames - 1:
            frame[28:40, 40:56] = (0, 255, 0)
    return frames


def write_video(path, frames, codec='MJPG', fps=10):
    """Write frames; returns the path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps,
                             frames.shape[2:0:-1])
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return str(path)


def write_model(folder, **model):
    """Config file and checkpoint; returns their paths."""
    config(**model).dump(str(folder / 'config.py'))
    torch.save(dict(state_dict=ColourBlobVIS().state_dict(),
                    meta=dict(dataset_meta=dict(classes=CLASSES))),
               folder / 'weights.pth')
    return folder / 'config.py', folder / 'weights.pth'
