"""Validation and test loops for models that take a video frame by frame."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from mmdet.registry import LOOPS
from mmengine.dist import all_gather_object
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, TestLoop, ValLoop, autocast
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.utils.data import DataLoader

from ..errors import UserError


@dataclass
class _Video:
    """One video on its way through the model."""

    video_id: int
    session: Any
    num_frames: int = 0
    # Frames that wait for their chunk to be full: (batch_idx, data_batch).
    waiting: list[tuple[int, dict]] = field(default_factory=list)
    # Frames that wait for their result, in order.
    late: deque[tuple[int, dict]] = field(default_factory=deque)


def _frame_meta(data_batch: dict) -> dict:
    """Meta information of the one frame of a loader's batch."""
    return data_batch['data_samples'][0].video_data_samples[0].metainfo


class _VideoLoop:
    """What validation and test have in common.

    The loader gives one frame a batch, in video order; a session of the model
    lives from the first frame of a video to its last. When a video ends, the
    evaluator gets ``[dict(video_id=int, tracks=VideoResult,
    num_frames=int)]``. The hooks around an iteration run once a frame with
    that frame's batch; ``outputs`` is the list of its one result. A system
    that sees several frames at once gives results late, so that the hooks
    after a frame may come after those before a later one.

    Args:
        runner: The runner.
        dataloader: Loader or its config: batch size 1, a sampler that gives
            each rank whole videos, frames in order.
        evaluator: Evaluator or the config of its metrics.
        fp16: Run the network under autocast (float16 on CUDA, bfloat16 on the
            CPU).
        chunk: Frames given to the model at once, at least 1; a chunk ends
            where the size of the frames changes. The results are those of
            ``chunk=1``, as far as the model's arithmetic is; larger chunks
            take more memory and less time. Defaults to 4.

    Raises:
        UserError: The dataset is empty, the loader's batches hold more than a
            frame, or its sampler gives videos in pieces, twice or not at all.
    """

    stage: str
    # What mmengine's loops, beside this class in the bases, set.
    runner: Runner
    dataloader: DataLoader
    evaluator: Evaluator
    fp16: bool

    def __init__(self,
                 runner: Runner,
                 dataloader: DataLoader | dict,
                 evaluator: Evaluator | dict | list,
                 fp16: bool = False,
                 chunk: int = 4) -> None:
        super().__init__(  # type: ignore[call-arg]
            runner, dataloader, evaluator, fp16=fp16)
        if chunk < 1:
            raise UserError(f'chunk must be at least 1, got {chunk}.')
        self.chunk = chunk
        self._done: set[int] = set()
        if len(self._dataset) == 0:
            raise UserError(
                f'The dataset of {self.stage}_dataloader is empty: check its '
                'annotation file and image folder.')

    @property
    def _dataset(self) -> Any:
        """With ``__len__`` and ``videos``, which torch's type lacks."""
        return self.dataloader.dataset

    def run(self) -> dict:
        """Run over all videos and score them.

        Returns:
            The metrics by name.
        """
        runner, stage = self.runner, self.stage
        if isinstance(runner.model, FullyShardedDataParallel):
            raise UserError(
                'A model whose weights are sharded (FSDP) cannot follow a '
                'video: train with val_cfg, val_dataloader and val_evaluator '
                'None, and give its checkpoints to tools/test.py.')
        runner.call_hook(f'before_{stage}')
        runner.call_hook(f'before_{stage}_epoch')
        runner.model.eval()
        self._done.clear()
        video: _Video | None = None
        for idx, data_batch in enumerate(self.dataloader):
            video = self._take(video, idx, data_batch)
        if video is not None:
            self._finish(video)
        metrics = self.evaluator.evaluate(self._count_videos())
        runner.call_hook(f'after_{stage}_epoch', metrics=metrics)
        runner.call_hook(f'after_{stage}')
        return metrics

    def _take(self, video: _Video | None, idx: int,
              data_batch: dict) -> _Video:
        """Take a frame of the loader; returns the video it belongs to."""
        if len(data_batch['inputs']) != 1 or len(data_batch['inputs'][0]) != 1:
            raise UserError(
                f'{self.stage}_dataloader must give one frame a batch: set '
                'batch_size=1 and use VideoFrameSampler.')
        meta = _frame_meta(data_batch)
        if video is not None and video.video_id != meta['video_id']:
            self._finish(video)
            video = None
        if video is None:
            video = self._start(meta)
        if (video.waiting and video.waiting[0][1]['inputs'][0].shape !=
                data_batch['inputs'][0].shape):
            self._step(video)
        self.runner.call_hook(
            f'before_{self.stage}_iter', batch_idx=idx, data_batch=data_batch)
        video.waiting.append((idx, data_batch))
        if len(video.waiting) == self.chunk:
            self._step(video)
        return video

    @property
    def _model(self) -> Any:
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    def _start(self, meta: dict) -> _Video:
        video_id = meta['video_id']
        if video_id in self._done:
            raise UserError(
                f'{self.stage}_dataloader gives video {video_id} in pieces: '
                'use VideoFrameSampler, which keeps videos whole and frames '
                'in order.')
        keys = ('video_id', 'video_length', 'ori_shape')
        return _Video(
            video_id,
            self._model.session({k: meta[k]
                               for k in keys if k in meta}))

    @torch.no_grad()
    def _step(self, video: _Video) -> None:
        """Give the waiting frames to the model."""
        batches = [batch for _, batch in video.waiting]
        data = dict(
            inputs=[batch['inputs'][0] for batch in batches],
            data_samples=[batch['data_samples'][0] for batch in batches])
        with autocast(enabled=self.fp16):
            data = self._model.data_preprocessor(data, False)
            frames: Tensor = data['inputs'][:, 0]
            metas = [clip.video_data_samples[0].metainfo
                     for clip in data['data_samples']]
            results = video.session.step(frames, metas)
        video.num_frames += len(video.waiting)
        video.late.extend(video.waiting)
        video.waiting.clear()
        self._report(video, results)

    def _report(self, video: _Video, results: list) -> None:
        """Run the hooks after the frames whose results have come."""
        for result in results:
            idx, batch = video.late.popleft()
            self.runner.call_hook(
                f'after_{self.stage}_iter',
                batch_idx=idx,
                data_batch=batch,
                outputs=[result])

    @torch.no_grad()
    def _finish(self, video: _Video) -> None:
        """End a video and give it to the evaluator."""
        if video.waiting:
            self._step(video)
        with autocast(enabled=self.fp16):
            self._report(video, video.session.flush())
            if video.late:
                raise RuntimeError(
                    f'The session gave no result of {len(video.late)} frames '
                    f'of video {video.video_id}: flush() must return those '
                    'that are due.')
            tracks = video.session.finish()
        self._done.add(video.video_id)
        self.evaluator.process(
            data_samples=[
                dict(
                    video_id=video.video_id,
                    tracks=tracks,
                    num_frames=video.num_frames)
            ],
            data_batch=None)

    def _count_videos(self) -> int:
        """Number of videos over all ranks, each of the dataset's once.

        The evaluator keeps as many results as it is told. A sampler that pads
        or drops would make these the wrong ones without a word.
        """
        done = [
            video_id for part in all_gather_object(sorted(self._done))
            for video_id in part
        ]
        expected = len(self._dataset.videos)
        if not len(done) == len(set(done)) == expected:
            raise UserError(
                f'{self.stage}_dataloader gave {len(done)} videos over all '
                f'processes, {len(set(done))} of them different; the dataset '
                f'has {expected}: use VideoFrameSampler, which gives each '
                'video to one process.')
        return expected


@LOOPS.register_module()
class VideoValLoop(_VideoLoop, ValLoop):
    """Validation of a model frame by frame; see :class:`_VideoLoop`."""

    stage = 'val'


@LOOPS.register_module()
class VideoTestLoop(_VideoLoop, TestLoop):
    """Test of a model frame by frame; see :class:`_VideoLoop`."""

    stage = 'test'
