"""SipMask-VIS, and SipMask with MemCNP: the head decides which."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ..segmenters.sipmask.base import DenseOutputs
from ..truth.ground_truth import clip_frames, collect_ground_truth
from .online import OnlineOptions, OnlineVIS


@MODELS.register_module()
class SipMaskVIS(OnlineVIS):
    """One-stage VIS: a dense head on a pyramid, and matching of its vectors.

    Training takes a key frame, on which everything is learnt, and a reference
    frame of the same video, whose objects the key frame's are matched with.

    Args:
        backbone: feature extractor.
        neck: makes a pyramid of the backbone's maps.
        bbox_head: a :class:`SipMaskHead` or :class:`MemCNPSipMaskHead`.
        mask_thr: pixels with a larger probability belong to a mask.
        kwargs: see :class:`OnlineVIS`.

    Raises:
        ValueError: if the threshold is no probability.
    """

    network_outputs = DenseOutputs

    def __init__(self,
                 *,
                 backbone: dict,
                 bbox_head: dict,
                 neck: dict | None = None,
                 mask_thr: float = 0.5,
                 **kwargs: Unpack[OnlineOptions]) -> None:
        super().__init__(**kwargs)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        if not 0 < mask_thr < 1:
            raise ValueError('mask_thr must be between 0 and 1, got '
                             f'{mask_thr}.')
        self.mask_thr = mask_thr
        self.bbox_head = MODELS.build(bbox_head)

    def extract_feat(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Pyramid of frames (B, 3, H, W)."""
        feats = self.backbone(frames)
        return self.neck(feats) if self.neck is not None else feats

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of key and reference frames.

        Args:
            inputs: (N, T, 3, H, W).
            data_samples: with ``key_frames_inds`` and ``ref_frames_inds``.
        """
        rows = torch.arange(len(inputs), device=inputs.device)
        key_at, key_frames = clip_frames(data_samples, 'key')
        ref_at, ref_frames = clip_frames(data_samples, 'ref')
        # One pass for both halves: twice the batch, half the launches.
        feats = self.extract_feat(
            torch.cat([inputs[rows, key_at], inputs[rows, ref_at]]))
        split = len(inputs)
        return self.bbox_head.loss(
            tuple(f[:split] for f in feats), tuple(f[split:] for f in feats),
            collect_ground_truth(key_frames, inputs.device),
            collect_ground_truth(ref_frames, inputs.device, with_masks=False))

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[InstanceData]:
        """See :meth:`OnlineVIS.encode`."""
        return self.bbox_head.predict(self.look(frames, metas), metas)

    def network(self, frames: Tensor,
                sizes: Sequence[tuple[int, ...]] | Tensor) -> DenseOutputs:
        """See :meth:`VIS.network`."""
        return self.bbox_head(self.extract_feat(frames))

    def instances(self, tracked: InstanceData,
                  meta: FrameMeta) -> FrameInstances:
        """See :meth:`OnlineVIS.instances`."""
        return FrameInstances(
            tracked.instances_id,
            MaskSource(tracked.mask_probs, meta, 'paste',
                       self.bbox_head.mask_stride, self.mask_thr),
            meta,
            scores=tracked.scores,
            labels=tracked.labels,
            boxes=tracked.bboxes,
            sigmas=tracked.get('box_sigmas'),
            class_probs=tracked.class_probs,
            centernesses=tracked.centernesses,
            uncertainties=tracked.get('uncertainties'))

    def _forward(self, inputs: Tensor):
        """Maps of every frame: (N, T, ...) is taken as N * T frames."""
        return self.bbox_head(self.extract_feat(inputs.flatten(0, 1)))
