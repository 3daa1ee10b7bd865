"""Queries of single frames as detections: what IDOL does at inference.

Wu et al., In Defense of Online Models for Video Instance Segmentation, ECCV
2022. idol.py trains it.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Required, Unpack

import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ..layers.greedy_nms import class_nms, mask_nms
from ..memcnp import ContextModule, merge_settings
from ..memcnp.hosts.keys import query_key
from ..segmenters.deformable import (
    DecodedQueries,
    DeformableSegmenter,
    EncodedFrames,
    input_hw,
    sizes_wh,
)
from .online import OnlineOptions, OnlineVIS


class QueryOptions(OnlineOptions, total=False):
    """Arguments of :class:`QueryVIS`."""
    segmenter: Required[dict]
    memcnp: dict | None
    score_thr: float
    box_nms_iou: float
    mask_nms_iou: float


class IDOLOutputs(NamedTuple):
    """What the network says of the Q queries of B frames.

    Attributes:
        class_logits: (B, Q, K) float32.
        boxes: (B, Q, 4), cx, cy, w, h as fractions of the frame.
        references: (B, Q, 2), points that the masks are relative to, x and
            y as fractions of the frame.
        embeds: (B, Q, E), vectors that tell instances apart.
        mask_params: (B, Q, ``mask_head.num_params``), weights of the mask
            convolutions.
        mask_features: (B, 8, h, w), what these convolutions read.
        sigmas: (B, Q, 4) of the boxes, in the unit of the memory; None
            without MemCNP.
    """
    class_logits: Tensor
    boxes: Tensor
    references: Tensor
    embeds: Tensor
    mask_params: Tensor
    mask_features: Tensor
    sigmas: Tensor | None


class QueryVIS(OnlineVIS):
    """Deformable DETR with dynamic masks and embeddings, frame by frame.

    Args:
        segmenter (dict): A ``DeformableSegmenter`` with ``embed_dims`` and a
            ``DeformableDecoder``.
        memcnp (dict, optional): MemCNP in the box branches, with its rules of
            training; see ``query_key``. Its contrast replaces ``loss_embed``
            and sets the scale of the tracker's similarity. Defaults to None,
            the plain host.
        score_thr (float): Queries above it are candidates; without any, the
            best one is. Defaults to 0.1.
        box_nms_iou (float): Of candidates of a class. Defaults to 0.9.
        mask_nms_iou (float): Of all candidates. Defaults to 0.5.
        kwargs: See :class:`OnlineVIS`.
    """

    #: Every class with a sufficient mean score makes a track.
    default_ranking = dict(type='MeanClass')
    network_outputs = IDOLOutputs

    def __init__(self,
                 *,
                 segmenter: dict,
                 memcnp: dict | None = None,
                 score_thr: float = 0.1,
                 box_nms_iou: float = 0.9,
                 mask_nms_iou: float = 0.5,
                 **kwargs: Unpack[OnlineOptions]) -> None:
        key = query_key(memcnp) if memcnp else None
        rules = None
        if key:
            rules = MODELS.build(dict(type='FrameRules', **key.training))
            kwargs['tracker'] = merge_settings(
                kwargs.get('tracker') or {}, rules.tracker(), key.tracker)
        super().__init__(**kwargs)
        self.segmenter: DeformableSegmenter = MODELS.build(segmenter)
        if self.segmenter.embed_head is None:
            raise ValueError('IDOL tells instances apart by embeddings: set '
                             'embed_dims of the segmenter.')
        self.memcnp: ContextModule | None = None
        self.memcnp_training = rules
        if key:
            self.memcnp = key.build(feat_dims=self.segmenter.dims)
            self.segmenter.use_memory(self.memcnp)
        self.score_thr = score_thr
        self.box_nms_iou = box_nms_iou
        self.mask_nms_iou = mask_nms_iou

    def decode(self, frames: Tensor,
               sizes: Sequence[tuple[int, ...]] | Tensor
               ) -> tuple[EncodedFrames, DecodedQueries]:
        """Encode frames and decode the queries on them.

        Args:
            frames (Tensor): Shape (B, 3, H, W), normalised and padded.
            sizes (Sequence[tuple[int, ...]] | Tensor): Height and width of
                each frame before padding, first.

        Returns:
            Encoder output and what the decoder layers say.
        """
        segmenter, batch = self.segmenter, len(frames)
        encoded = segmenter.encode_frames(frames, sizes)
        start = (x.expand(batch, -1, -1) for x in segmenter.start_queries())
        return encoded, segmenter.decoder(*start, encoded,
                                          segmenter.boxes_by(self.memcnp))

    def _forward(self, inputs: Tensor):
        """Class logits, boxes and mask features of all frames (N * T)."""
        frames = inputs.flatten(0, 1)
        encoded, decoded = self.decode(
            frames, [input_hw(frames)] * len(frames))
        return (self.segmenter.class_logits(decoded.hidden[-1:])[0],
                decoded.boxes[-1], self.segmenter.mask_features(encoded))

    def network(self, frames: Tensor,
                sizes: Sequence[tuple[int, ...]] | Tensor) -> IDOLOutputs:
        """See :meth:`VIS.network`."""
        encoded, decoded = self.decode(frames, sizes)
        queries, segmenter = decoded.hidden[-1], self.segmenter
        return IDOLOutputs(
            segmenter.class_logits(queries[None])[0], decoded.boxes[-1],
            decoded.references[-1], segmenter.embeds(queries),
            segmenter.mask_controller(queries),
            segmenter.mask_features(encoded),
            None if decoded.sigmas is None else decoded.sigmas[-1])

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[InstanceData]:
        """Detections of each frame, best first.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (Sequence[FrameMeta]): ``img_shape`` and ``ori_shape`` of
                each.

        Returns:
            See :meth:`detections`.
        """
        outs: IDOLOutputs = self.look(frames, metas)
        image_wh = sizes_wh(metas, frames.device)
        class_scores = outs.class_logits.sigmoid()
        if outs.sigmas is not None and self.memcnp is not None:
            class_scores = class_scores * self.memcnp.certainty(
                outs.sigmas)[..., None]
        results = []
        for t, meta in enumerate(metas):
            query = self.candidates(class_scores[t], outs.boxes[t],
                                    image_wh[t])
            found = InstanceData(
                queries=query,
                class_scores=class_scores[t, query],
                boxes=outs.boxes[t, query],
                embeds=outs.embeds[t, query].float(),
                mask_logits=self.segmenter.mask_head(
                    outs.mask_features, outs.mask_params[t, query],
                    outs.references[t, query] * image_wh[t],
                    torch.full_like(query, t)))
            if outs.sigmas is not None and self.memcnp is not None:
                sigmas = outs.sigmas[t, query]
                found.box_sigmas = self.memcnp.frame_sigmas(
                    sigmas, bbox_cxcywh_to_xyxy(found.boxes))
                found.uncertainties = sigmas.mean(-1)
            results.append(self.detections(found, meta))
        return results

    def candidates(self, class_scores: Tensor, boxes: Tensor,
                   image_wh: Tensor) -> Tensor:
        """Queries of a frame that may be instances.

        Args:
            class_scores (Tensor): Shape (Q, K).
            boxes (Tensor): Shape (Q, 4), cx, cy, w, h as fractions.
            image_wh (Tensor): Shape (2,), size of the frame.

        Returns:
            Tensor: Shape (n,) int64, n >= 1, best first.
        """
        scores, labels = class_scores.max(dim=1)
        order = scores.argsort(descending=True, stable=True)
        chosen = order[scores[order] > self.score_thr]
        if not len(chosen):
            return order[:1]
        corners = bbox_cxcywh_to_xyxy(boxes[chosen]) * image_wh.repeat(2)
        return chosen[class_nms(corners, labels[chosen], self.box_nms_iou)]

    def detections(self, found: InstanceData,
                   meta: FrameMeta) -> InstanceData:
        """What is left of candidates after NMS of their masks.

        Args:
            found (InstanceData): n candidates, best first: ``class_scores``
                (n, K), ``boxes`` (n, 4) as fractions, ``mask_logits``
                (n, h, w), ``embeds`` (n, C), and what else is to be kept.
            meta (FrameMeta): ``ori_shape`` of the frame.

        Returns:
            InstanceData: The same fields and ``scores``, ``labels``,
            ``bboxes`` (xyxy in original pixels) and ``masks`` (bool, at
            ``mask_stride``).
        """
        masks = found.mask_logits > 0
        keep = mask_nms(masks, self.mask_nms_iou)
        found = found[keep]
        found.masks = masks[keep]
        found.scores, found.labels = found.class_scores.max(dim=1)
        height, width = meta['ori_shape'][:2]
        size = found.boxes.new_tensor([width, height, width, height])
        found.bboxes = bbox_cxcywh_to_xyxy(found.boxes).clamp(0, 1) * size
        return found

    def instances(self, tracked: InstanceData,
                  meta: FrameMeta) -> FrameInstances:
        """See :meth:`OnlineVIS.instances`."""
        return FrameInstances(
            tracked.instances_id,
            MaskSource(tracked.mask_logits, meta, 'nearest',
                       self.segmenter.mask_stride),
            meta,
            class_scores=tracked.class_scores,
            boxes=tracked.bboxes,
            sigmas=tracked.get('box_sigmas'),
            uncertainties=tracked.get('uncertainties'))
