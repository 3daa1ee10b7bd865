"""SeqFormer: Sequential Transformer for Video Instance Segmentation.

Wu et al., ECCV 2022.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.pixels import FrameMeta
from ..matching import Queries
from ..memcnp import ContextModule
from ..memcnp.hosts.keys import query_key
from ..segmenters.deformable import (
    DecodedClips,
    DeformableSegmenter,
    EncodedFrames,
    input_hw,
)
from ..truth.clip_truth import collect_clips
from ..truth.matches import Matches
from .arguments import check_counts, needed
from .clip import ClipOptions, ClipVIS


@MODELS.register_module()
class SeqFormer(ClipVIS[tuple[EncodedFrames, Tensor]]):
    """Deformable DETR with one query an object and clip.

    Frames are encoded one by one. In the decoder an instance query collects
    what its box queries, one a frame, find; its classes and the weights of
    its mask convolutions hold for the whole clip, its boxes for a frame.

    Args:
        segmenter (dict): A :class:`DeformableSegmenter` with a
            :class:`SeqFormerDecoder`.
        top_k (int): Queries of a clip that become instances. Defaults to 10.
        memcnp (dict, optional): MemCNP in the box branches, with its rules of
            training; see ``query_key``. Defaults to None, the plain host.
        kwargs: See :class:`ClipVIS`.
    """

    default_loss = dict(type='SeqFormerLoss')

    def __init__(self,
                 *,
                 segmenter: dict,
                 top_k: int = 10,
                 memcnp: dict | None = None,
                 **kwargs: Unpack[ClipOptions]) -> None:
        super().__init__(**kwargs)
        check_counts(top_k=top_k)
        self.segmenter: DeformableSegmenter = MODELS.build(segmenter)
        dims = self.segmenter.dims
        key = query_key(memcnp) if memcnp else None
        self.memcnp: ContextModule | None = None
        self.memcnp_training = None
        if key:
            self.memcnp = key.build(feat_dims=dims)
            self.segmenter.use_memory(self.memcnp)
            self.memcnp_training = MODELS.build(
                dict(type='ClipRules', **key.training, embed_dims=dims))
        self.top_k = top_k

    def decode_clips(self, encoded: EncodedFrames,
                     num_clips: int) -> DecodedClips:
        """Queries of all layers; see :class:`DecodedClips`.

        Args:
            encoded (EncodedFrames): B * T frames, clip by clip.
            num_clips (int): B.
        """
        return self.segmenter.decoder(
            *self.segmenter.start_queries(), encoded, num_clips,
            self.segmenter.boxes_by(self.memcnp))

    # -- training -------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """See :meth:`VIS.loss`; every frame counts.

        Returns:
            dict[str, Tensor]: See :meth:`SeqFormerLoss.forward` and, with
            MemCNP, ``ClipRules``.
        """
        matcher = needed(self.matcher, 'matcher')
        # Before the network: what it reads back would wait for that.
        truth = collect_clips(data_samples, inputs.device,
                              self.segmenter.mask_stride)
        encoded = self.segmenter.encode_frames(
            inputs.flatten(0, 1), [frame.img_shape for sample in data_samples
                                   for frame in sample.video_data_samples])
        features = self.segmenter.mask_features(encoded)
        decoded = self.decode_clips(encoded, len(inputs))
        queries = self.queries(decoded)
        matches = matcher.match(queries, truth)
        logits, boxes = queries.logits, queries.boxes
        masks = self._matched_masks(decoded, features, truth.sizes, matches)
        count = truth.valid.sum().float()
        normaliser = reduce_mean(count).clamp(min=1)
        cnp = self.memcnp_training
        if self.memcnp is None or cnp is None:
            return self.clip_loss(logits, boxes, masks, matches, truth,
                                  normaliser)
        picked = cnp.select(queries, truth, matches)
        losses = self.clip_loss(logits, boxes, masks, matches, truth,
                                normaliser, picked)
        losses.update(cnp.box_losses(queries, picked, truth))
        losses.update(cnp.track_loss(decoded.box_queries[-1],
                                     matches.best[-1], truth))
        # After all that reads the memory, on every rank.
        self.memcnp.write(decoded.box_queries[-1], decoded.references[-1],
                          *truth.by_frame())
        return losses

    def queries(self, decoded: DecodedClips) -> Queries:
        """What the layers say, as matchers and losses see it.

        Args:
            decoded (DecodedClips): B clips.

        Returns:
            Queries: Fields (L, B, Q, ...), (L, B, Q, T, ...) of boxes.
        """
        logits = self.segmenter.class_logits(decoded.instances)
        known = [s for s in decoded.sigmas if s is not None]
        return Queries(logits, *(
            torch.stack(x).transpose(2, 3) if x else None
            for x in (decoded.boxes, decoded.references, known)))

    def _matched_masks(self, decoded: DecodedClips, features: Tensor,
                       sizes: Tensor, matches: Matches) -> Tensor:
        """Mask logits (P, T, h, w) of the pairs of all layers.

        Args:
            decoded (DecodedClips): B clips.
            features (Tensor): Shape (B * T, 8, h, w).
            sizes (Tensor): Shape (B, T, 2), width and height in pixels.
            matches (Matches): P pairs.
        """
        frames = sizes.shape[1]
        layer, clip, query, _ = matches.pairs
        centres = torch.stack([r * sizes[:, :, None]
                               for r in decoded.references])[
                                   layer, clip, :, query]
        return self.segmenter.mask_logits(
            features, torch.stack(decoded.instances)[layer, clip, query],
            centres, clip[:, None] * frames + torch.arange(
                frames, device=clip.device))

    # -- inference ------------------------------------------------------
    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[tuple[EncodedFrames, Tensor]]:
        """See :meth:`VIS.encode`."""
        return self.segmenter.items(frames, metas)

    def decode(self, encoded: list[tuple[EncodedFrames, Tensor]],
               metas: list[FrameMeta]) -> InstanceData:
        """See :meth:`ClipVIS.decode`; the best queries, best first."""
        parts, features = zip(*encoded, strict=True)
        decoded = self.decode_clips(join_frames(parts), 1)
        query = decoded.instances[-1][0]
        scores = self.segmenter.class_logits([query])[0].sigmoid()
        sigmas = decoded.sigmas[-1]
        if sigmas is not None and self.memcnp is not None:
            scores = scores * self.memcnp.certainty(
                sigmas[0]).mean(0)[..., None]
        best = scores.amax(1).topk(min(self.top_k, len(scores))).indices
        first = best.new_zeros(len(best))
        masks, boxes = [], []
        for t, meta in enumerate(metas):
            size = scores.new_tensor(meta['img_shape'][1::-1])
            masks.append(
                self.segmenter.mask_logits(
                    features[t], query[best],
                    decoded.references[-1][0, t, best] * size, first))
            boxes.append(
                bbox_cxcywh_to_xyxy(decoded.boxes[-1][0, t, best]) *
                scores.new_tensor([*meta['ori_shape'][1::-1]] * 2))
        found = InstanceData(
            class_scores=scores[best],
            mask_logits=torch.stack(masks, dim=1),
            bboxes=torch.stack(boxes, dim=1))
        if sigmas is not None and self.memcnp is not None:
            corners = bbox_cxcywh_to_xyxy(decoded.boxes[-1][0, :, best])
            found.box_sigmas = self.memcnp.frame_sigmas(
                sigmas[0, :, best], corners).transpose(0, 1)
            found.uncertainties = sigmas[0, :, best].mean(-1).T
        return found

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, Q, K) and boxes (N, T, Q, 4) of clips."""
        frames = inputs.flatten(0, 1)
        encoded = self.segmenter.encode_frames(
            frames, [input_hw(frames)] * len(frames))
        decoded = self.decode_clips(encoded, len(inputs))
        return (self.segmenter.class_logits(decoded.instances[-1:])[0],
                decoded.boxes[-1])


def join_frames(parts: tuple[EncodedFrames, ...]) -> EncodedFrames:
    """Frames of one input size, one after the other."""
    return parts[0]._replace(
        memory=torch.cat([p.memory for p in parts]),
        padding=torch.cat([p.padding for p in parts]),
        valid_ratios=torch.cat([p.valid_ratios for p in parts]))
