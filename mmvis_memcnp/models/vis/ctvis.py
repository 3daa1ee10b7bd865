"""CTVIS: Consistent Training for Online Video Instance Segmentation.

Ying et al., ICCV 2023.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ..layers.greedy_nms import mask_nms
from ..segmenters.mask2former import FrameQueries
from .frame_training import frame_losses
from .online import OnlineOptions, OnlineVIS


@MODELS.register_module()
class CTVIS(OnlineVIS):
    """Mask2Former with embeddings, trained through the tracker's memory.

    All frames of a clip learn classes and masks. The embeddings of their
    objects are contrasted with what a memory, of the class that the tracker
    has, holds of the frames before.

    Args:
        segmenter (dict): A :class:`Mask2FormerSegmenter` with ``embed_dims``.
        matcher (dict, optional): :class:`OneToOneMatcher`; only training
            needs it.
        loss (dict, optional): Defaults to :class:`SampledMaskLoss`.
        loss_embed (dict, optional): A :class:`ClipContrast`. Without it,
            frames are learnt alone.
        score_thr (float): Queries above it are candidates; without any, the
            best one is. A higher one is faster and finds fewer objects.
            Defaults to 0.01.
        mask_nms_iou (float): Of all candidates. Defaults to 0.6.
        kwargs: See :class:`OnlineVIS`.

    Raises:
        ValueError: If the segmenter has no embeddings.
    """
    default_ranking = dict(type='TopPairs', rescore=True)
    network_outputs = FrameQueries

    def __init__(self,
                 *,
                 segmenter: dict,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 loss_embed: dict | None = None,
                 score_thr: float = 0.01,
                 mask_nms_iou: float = 0.6,
                 **kwargs: Unpack[OnlineOptions]) -> None:
        super().__init__(**kwargs)
        self.segmenter = MODELS.build(segmenter)
        if self.segmenter.embed_head is None:
            raise ValueError('CTVIS tells instances apart by embeddings: set '
                             'embed_dims of the segmenter.')
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.frame_loss = MODELS.build(loss or dict(type='SampledMaskLoss'))
        self.loss_embed = MODELS.build(loss_embed) if loss_embed else None
        self.score_thr = score_thr
        self.mask_nms_iou = mask_nms_iou

    # -- training -----------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """See :meth:`VIS.loss` and :func:`frame_losses`."""
        return frame_losses(inputs, data_samples, self.segmenter,
                            self.matcher, self.frame_loss, self.loss_embed)

    # -- inference ----------------------------------------------------------
    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[InstanceData]:
        """See :meth:`OnlineVIS.encode`."""
        return [self.detections(frame)
                for frame in self.look(frames, metas).split()]

    def network(self, frames: Tensor,
                sizes: Sequence[tuple[int, ...]] | Tensor) -> FrameQueries:
        """See :meth:`VIS.network`."""
        return self.segmenter(frames)

    def detections(self, found: FrameQueries) -> InstanceData:
        """Queries of a frame that may be instances.

        Args:
            found (FrameQueries): Of one frame.

        Returns:
            InstanceData: n >= 1 detections, best first: ``queries``,
            ``scores``, ``labels`` (n,), ``logits`` (n, K + 1), ``embeds``
            (n, E), ``mask_logits`` (n, h, w).
        """
        logits = found.logits[-1, 0].float()
        scores, labels = logits.softmax(-1)[:, :-1].max(-1)
        order = scores.argsort(descending=True, stable=True)
        chosen = order[scores[order] > self.score_thr]
        if not len(chosen):
            chosen = order[:1]
        masks = torch.einsum('qd,dhw->qhw', found.mask_embeds[-1, 0, chosen],
                             found.mask_features[0])
        keep = mask_nms(masks > 0, self.mask_nms_iou)
        chosen = chosen[keep]
        assert found.embeds is not None
        return InstanceData(
            queries=chosen, scores=scores[chosen], labels=labels[chosen],
            logits=logits[chosen], embeds=found.embeds[-1, 0, chosen].float(),
            mask_logits=masks[keep])

    def instances(self, tracked: InstanceData,
                  meta: FrameMeta) -> FrameInstances:
        """See :meth:`OnlineVIS.instances`."""
        return FrameInstances(
            tracked.instances_id,
            MaskSource(tracked.mask_logits, meta, 'bilinear', stride=4), meta,
            logits=tracked.logits,
            rated=self.ranking.get('rescore', False))

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits (N * T, Q, K + 1), mask logits (N * T, Q, h, w) and
        embeddings (N * T, Q, E)."""
        found = self.segmenter(inputs.flatten(0, 1))
        return found.logits[-1], found.masks(), found.embeds[-1]
