"""Online video instance segmentation: a segmenter, a tracker, a session."""
from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.masks import encode_masks
from ...results.scoring import MajorityScoring, VideoScoring
from ...results.sinks import Sink
from ...results.store import TrackStore, VideoResult
from ..layers.masks import paste_masks

# Frames that a session encodes at once where it keeps them, whatever a step
# brings.
CHUNK = 8


class OnlineVIS(BaseModel):
    """Base of systems that go through a video frame by frame.

    The module holds no state of a video: :meth:`start` returns a session
    that does, so two videos can be followed side by side. A whole video in
    :meth:`predict` is the same session fed with all frames.

    Args:
        backbone: feature extractor.
        neck: makes a pyramid of the backbone's maps.
        tracker: gives identities to detections.
        data_preprocessor: normalises and pads; see mmdet's
            ``TrackDataPreprocessor``.
        init_cfg: initial weights.
    """

    def __init__(self,
                 backbone: dict,
                 neck: dict | None = None,
                 tracker: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.tracker = MODELS.build(tracker) if tracker else None

    def extract_feat(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Pyramid of frames (B, 3, H, W)."""
        feats = self.backbone(frames)
        return self.neck(feats) if self.neck is not None else feats

    def forward(self,
                inputs: Tensor,
                data_samples: list[TrackDataSample] | None = None,
                mode: str = 'tensor'):
        """Entry point of mmengine.

        Args:
            inputs: (N, T, 3, H, W) normalised, padded clips.
            data_samples: annotations and sizes of the N clips.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.

        Raises:
            ValueError: if the mode is unknown or the input is not 5-D.
        """
        if inputs.dim() != 5:
            raise ValueError('The input must be clips of shape (N, T, 3, H, '
                             f'W), got {tuple(inputs.shape)}.')
        if mode == 'tensor':
            return self._forward(inputs)
        if data_samples is None:
            raise ValueError(f'mode={mode!r} needs data_samples.')
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(
            f"Unknown mode {mode!r}: use 'loss', 'predict' or 'tensor'.")

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Training losses of a batch of clips."""
        raise NotImplementedError

    def _forward(self, inputs: Tensor):
        """Raw maps of the frames, for counting and export."""
        raise NotImplementedError

    def segment(self, frames: Tensor, metas: list[dict]) -> list[InstanceData]:
        """Detections of each frame, before identities.

        Args:
            frames: (T, 3, H, W) normalised and padded.
            metas: ``img_shape``, ``ori_shape``, ``scale_factor`` of each.

        Returns:
            One ``InstanceData`` a frame with at least ``bboxes`` in original
            pixels, ``scores``, ``labels``, ``embeds`` and ``mask_probs``
            (n, h, w) on a canvas over the padded input.
        """
        raise NotImplementedError

    def render(self, tracked: InstanceData, meta: dict) -> InstanceData:
        """What leaves a step: masks become run-length codes, on the CPU.

        Args:
            tracked: detections with ``instances_id``.
            meta: sizes of the frame.

        Returns:
            ``instances_id``, ``bboxes``, ``scores``, ``labels``, ``masks``
            (COCO run-length codes at the original resolution), and
            ``box_sigmas`` where the model predicts them.
        """
        masks = paste_masks(tracked.mask_probs, self.mask_stride,
                            meta['scale_factor'], meta['ori_shape'][:2],
                            self.mask_thr)
        out = InstanceData(
            metainfo=dict(
                frame_id=int(meta.get('frame_id', 0)),
                ori_shape=tuple(meta['ori_shape'][:2])))
        for name in ('instances_id', 'bboxes', 'scores', 'labels',
                     'box_sigmas', 'class_scores'):
            if name in tracked:
                out[name] = tracked[name].cpu()
        out.masks = encode_masks(masks)
        return out

    #: Input pixels a pixel of ``mask_probs``.
    mask_stride = 2
    #: ``mask_probs`` above it belong to the mask.
    mask_thr = 0.5

    def video_scoring(self) -> VideoScoring:
        """How frames' scores make a video's; systems differ."""
        return MajorityScoring()

    def start(self,
              video_meta: dict | None = None,
              sink: Sink | None = None) -> VISSession:
        """Begin a video.

        Args:
            video_meta: anything known of the video; kept for the caller.
            sink: keeps the masks; in memory by default.
        """
        return VISSession(self, video_meta,
                          TrackStore(sink, self.video_scoring()))

    @torch.no_grad()
    def predict(self, inputs: Tensor,
                data_samples: list[TrackDataSample]) -> list[TrackDataSample]:
        """Follow whole videos: a session, fed frame by frame.

        Args:
            inputs: (N, T, 3, H, W).
            data_samples: sizes of the frames of the N videos.

        Returns:
            The samples, each with ``pred_tracks``, a ``VideoResult``.
        """
        for clip, sample in zip(inputs, data_samples, strict=True):
            session = self.start()
            for t, frame in enumerate(sample.video_data_samples):
                session.step(clip[t:t + 1], [frame.metainfo])
            sample.pred_tracks = session.finish()
        return data_samples


class VISSession:
    """The state of one video of an :class:`OnlineVIS`.

    Args:
        model: the system; not changed by the session.
        video_meta: anything known of the video.
        store: collects what leaves the steps.
    """

    def __init__(self,
                 model: OnlineVIS,
                 video_meta: dict | None,
                 store: TrackStore) -> None:
        self.model = model
        self.video_meta = dict(video_meta or {})
        self.store = store
        if model.tracker is None:
            raise ValueError('This model has no tracker, so it can follow no '
                             'video: give its config a tracker.')
        self.tracker = model.tracker
        self.state = self.tracker.start()

    @torch.no_grad()
    def step(self, frames: Tensor, metas: list[dict]) -> list[InstanceData]:
        """Take the next frames.

        The network runs on them as a batch, association frame by frame.

        Args:
            frames: (T, 3, H, W) normalised and padded.
            metas: sizes of each frame; see :meth:`OnlineVIS.segment`.

        Returns:
            The result of each frame; see :meth:`OnlineVIS.render`.
        """
        if len(frames) != len(metas):
            raise ValueError(f'{len(frames)} frames came with {len(metas)} '
                             'metas: give one meta a frame.')
        results = []
        for detections, meta in zip(
                self.model.segment(frames, metas), metas, strict=True):
            result = self.model.render(self.associate(detections), meta)
            self.record(result)
            results.append(result)
        return results

    def record(self, result: InstanceData) -> None:
        """Keep a frame's result.

        Args:
            result: see :meth:`OnlineVIS.render`.
        """
        self.store.append(result)

    def associate(self, detections: InstanceData) -> InstanceData:
        """Give identities to detections and drop those without."""
        ids = self.tracker.step(self.state, detections).ids
        # A later, better claim takes the identity over: keep the last.
        same = ids[:, None] == ids[None, :]
        later = torch.ones_like(same).triu(1)
        keep = (ids >= 0) & ~(same & later).any(1)
        tracked = detections[keep]
        tracked.instances_id = ids[keep]
        return tracked

    def flush(self) -> list[InstanceData]:
        """Results that are still due: none, a step returns all of its own.

        Called before :meth:`finish`; systems that see several frames at once
        give a frame's result late.
        """
        return []

    def finish(self) -> VideoResult:
        """End the video: tracks with video-level scores and labels."""
        return self.store.finish()
