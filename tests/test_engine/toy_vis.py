"""A tiny video dataset, model and metric for the tests of the engine.

The dataset draws from all three global generators and the model from
PyTorch's, so that a run only repeats if all of them do. The model's tracker
counts frames and identifies the video from pixels, so that frames in the
wrong order, or of the wrong video, change its tracks.
"""
import os
import random
import signal
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import DATASETS, HOOKS, METRICS, MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.utils import register_all_modules
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import nn

import mmvis_memcnp  # noqa: F401, I001  (installs the shims)
from mmvis_memcnp.models.layers import phase

# Once here, not in each of the processes that the tests fork.
register_all_modules(init_default_scope=False)


def clip(video_id, frame_ids, pixels):
    """A packed clip; pixels float32 (T, 3, H, W)."""
    frames = []
    for frame_id in frame_ids:
        frame = DetDataSample()
        frame.set_metainfo(
            dict(
                video_id=video_id,
                frame_id=frame_id,
                img_path=f'{video_id}/{frame_id}.jpg',
                ori_shape=pixels.shape[-2:],
                img_shape=pixels.shape[-2:]))
        frames.append(frame)
    return dict(
        inputs=pixels,
        data_samples=TrackDataSample(video_data_samples=frames))


@DATASETS.register_module()
class ToyClips:
    """Training clips of two frames with random pixels."""

    metainfo = dict(classes=('thing', ))

    def __init__(self, size=10, ann_file='', metainfo=None):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        noise = (
            random.random() + np.random.rand() + torch.rand(2, 3, 4, 4))
        other = np.random.randint(5)
        return clip(int(index), [0, int(other)], index + noise)


@DATASETS.register_module()
class ToyVideos:
    """Frames of whole videos; pixel value = 100 * video + frame."""

    metainfo = dict(classes=('thing', ))

    def __init__(self, lengths=(3, 1, 4), sizes=None, ann_file=''):
        self.videos = [
            dict(video_id=10 + i, length=length)
            for i, length in enumerate(lengths)
        ]
        self.items = [(v, f) for v, video in enumerate(self.videos)
                      for f in range(video['length'])]
        self.sizes = sizes or {}

    def num_frames(self, video):
        return self.videos[video]['length']

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        video, frame = self.items[index] if isinstance(index, int) else index
        side = self.sizes.get((video, frame), 4)
        pixels = torch.full((1, 3, side, side), 100. * video + frame)
        return clip(self.videos[video]['video_id'], [frame], pixels)


@MODELS.register_module()
class ToyPreprocessor(BaseDataPreprocessor):

    def forward(self, data, training=False):
        data = self.cast_data(data)
        return dict(
            inputs=torch.stack(list(data['inputs'])),
            data_samples=data['data_samples'])


class ToySession:
    """Records the frames and chunks that it is given."""

    def __init__(self, meta):
        self.meta = meta
        self.frames = []
        self.chunks = []

    def step(self, frames, metas):
        assert not torch.is_grad_enabled()
        assert len(frames) == len(metas)
        self.chunks.append(len(frames))
        self.frames += frames[:, 0, 0, 0].tolist()
        return [meta['frame_id'] for meta in metas]

    def flush(self):
        return []

    def finish(self):
        return dict(
            meta=self.meta, frames=self.frames, chunks=self.chunks)


@MODELS.register_module()
class ToyVIS(BaseModel):
    """Its loss reads a memory that every forward pass writes."""

    def __init__(self, nan_at=None, num_classes=1, data_preprocessor=None):
        super().__init__(data_preprocessor or ToyPreprocessor())
        self.backbone = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(4, num_classes)
        self.nan_at = nan_at
        self.register_buffer('steps', torch.zeros((), dtype=torch.int64))
        self.register_buffer('memory', torch.zeros(4))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        features = self.backbone(inputs.flatten(0, 1) / 10).mean((2, 3))
        if mode != 'loss':
            return features
        self.steps += 1
        noise = torch.randn_like(features)
        self.memory.lerp_(features.detach().mean(0), .5)
        score = self.head(features + noise + self.memory)
        loss = dict(
            loss_score=(score - 1).square().mean(),
            loss_size=self.backbone.weight.square().mean())
        if self.steps == self.nan_at:
            loss['loss_size'] = loss['loss_size'] * float('nan')
        return loss

    def session(self, video_meta=None):
        return ToySession(video_meta)


@MODELS.register_module()
class PhasedVIS(ToyVIS):
    """Its loss depends on the phase: 0 up to iteration 5, 1 up to 8, then 2.
    """

    def set_progress(self, iteration, max_iters):
        self.progress = iteration, max_iters

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = super().forward(inputs, data_samples, mode)
        if mode == 'loss':
            iteration, max_iters = self.progress
            out['loss_phase'] = 10 * phase(iteration, (5, 8)) * out[
                'loss_size'] + iteration / max_iters
        return out


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Returns what it was given."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(videos=len(results), results=results)


@METRICS.register_module()
class RisingMetric(ToyMetric):
    """Scores that depend on how often it was asked."""

    def __init__(self, scores):
        super().__init__()
        self.scores = {name: list(values) for name, values in scores.items()}

    def compute_metrics(self, results):
        return {name: values.pop(0) for name, values in self.scores.items()}


@HOOKS.register_module()
class LossFile(Hook):
    """Appends the exact loss of every iteration; can kill the process."""

    priority = 'LOWEST'

    def __init__(self, path, kill_at=None):
        self.path = Path(path)
        self.kill_at = kill_at

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        with self.path.open('a') as file:
            file.write(f'{runner.iter} {outputs["loss"].item().hex()}\n')
        if runner.iter + 1 == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
