"""IDOL: queries of single frames, told apart by contrastive embeddings."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ..layers.greedy_nms import class_nms, mask_nms
from ..matching import Queries
from ..memcnp import ContextModule, merge_settings
from ..memcnp.hosts.keys import query_key
from ..segmenters.deformable import (
    DecodedQueries,
    DeformableSegmenter,
    EncodedFrames,
    input_hw,
    sizes_wh,
)
from ..truth.clip_truth import collect_clips
from ..truth.ground_truth import (
    GroundTruth,
    clip_frames,
    collect_ground_truth,
    same_objects,
)
from ..truth.matches import Matches
from .online import OnlineOptions, OnlineVIS


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


@MODELS.register_module()
class IDOL(OnlineVIS):
    """Deformable DETR with dynamic masks and embeddings, frame by frame.

    A query has a class, a box, a mask and an embedding. Training takes a key
    frame, on which instances are learnt, and a reference frame, whose queries
    the key frame's embeddings are contrasted with. Source: Wu et al., In
    Defense of Online Models for Video Instance Segmentation, ECCV 2022.

    Args:
        segmenter (dict): A ``DeformableSegmenter`` with ``embed_dims`` and a
            ``DeformableDecoder``.
        memcnp (dict, optional): MemCNP in the box branches, with its rules of
            training; see ``query_key``. Its contrast replaces ``loss_embed``
            and sets the scale of the tracker's similarity. Defaults to None,
            the plain host.
        matcher (dict, optional): A ``SimOTAMatcher``; only training needs it,
            and the losses.
        loss_instance (dict, optional): An ``IDOLLoss``.
        loss_embed (dict, optional): A ``ContrastiveEmbeddingLoss``. Without
            it, training needs key frames alone: instances of images. A
            ``ClipContrast`` trains all frames of a clip, as CTVIS does.
        positive_topk (int): IoUs that are summed to the number of positives
            of an object on the reference frame. Defaults to 10.
        ignore_topk (int): The same for what is no negative. Defaults to 100.
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
                 matcher: dict | None = None,
                 loss_instance: dict | None = None,
                 loss_embed: dict | None = None,
                 positive_topk: int = 10,
                 ignore_topk: int = 100,
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
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.loss_instance = (
            MODELS.build(loss_instance) if loss_instance else None)
        self.loss_embed = (
            MODELS.build(loss_embed)
            if loss_embed and not self._cnp_contrast else None)
        self.positive_topk = positive_topk
        self.ignore_topk = ignore_topk
        self.score_thr = score_thr
        self.box_nms_iou = box_nms_iou
        self.mask_nms_iou = mask_nms_iou

    # -- network ----------------------------------------------------------
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

    def mask_logits(self, features: Tensor, decoded: DecodedQueries,
                    image_wh: Tensor,
                    where: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Masks of P queries, whatever layers and frames they are of.

        Args:
            features (Tensor): Shape (B, 8, h, w), of the mask branch.
            decoded (DecodedQueries): Of the B frames.
            image_wh (Tensor): Shape (B, 2), sizes before padding.
            where (tuple[Tensor, Tensor, Tensor]): Layer, frame and query of
                each, shape (P,) int64.

        Returns:
            Tensor: Shape (P, 2h, 2w), logits at the segmenter's
            ``mask_stride``.
        """
        frames = where[1]
        return self.segmenter.mask_logits(
            features, decoded.hidden[where],
            decoded.references[where] * image_wh[frames], frames)

    def _forward(self, inputs: Tensor):
        """Class logits, boxes and mask features of all frames (N * T)."""
        frames = inputs.flatten(0, 1)
        encoded, decoded = self.decode(
            frames, [input_hw(frames)] * len(frames))
        return (self.segmenter.class_logits(decoded.hidden[-1:])[0],
                decoded.boxes[-1], self.segmenter.mask_features(encoded))

    # -- inference --------------------------------------------------------
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

    # -- training ---------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of key and reference frames.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W).
            data_samples (list[TrackDataSample]): With ``key_frames_inds`` and,
                for the contrast, ``ref_frames_inds``.

        Returns:
            dict[str, Tensor]: Those of ``IDOLLoss`` on the key frames,
            ``loss_embed`` and ``loss_embed_aux``; with MemCNP also
            ``loss_cnp``, and ``loss_track`` in place of those two.

        Raises:
            ValueError: If the config has no matcher or no losses.
        """
        if not (self.matcher and self.loss_instance):
            raise ValueError('Training needs matcher and loss_instance: set '
                             'them in the config.')
        if self.loss_embed is not None and self.loss_embed.whole_clips:
            return self.clip_losses(inputs, data_samples)
        rows = torch.arange(len(inputs), device=inputs.device)
        at, samples = clip_frames(data_samples, 'key')
        frames, ref_gt = inputs[rows, at], None
        key_gt = collect_ground_truth(
            samples, inputs.device, mask_stride=self.segmenter.mask_stride)
        if self.loss_embed or self._cnp_contrast:
            at, ref_samples = clip_frames(data_samples, 'ref')
            # One pass for both halves: twice the batch, half the launches.
            frames = torch.cat([frames, inputs[rows, at]])
            samples = [*samples, *ref_samples]
            ref_gt = collect_ground_truth(
                ref_samples, inputs.device, with_masks=False)
        metas = [s.metainfo for s in samples]
        image_wh = sizes_wh(metas, frames.device)
        encoded, decoded = self.decode(
            frames, [m['img_shape'] for m in metas])
        return self.query_losses(encoded, decoded, image_wh, key_gt, ref_gt)

    def clip_losses(self, inputs: Tensor, data_samples: list[TrackDataSample]
                    ) -> dict[str, Tensor]:
        """Losses of all frames and of their embeddings; see :meth:`loss`."""
        truth = collect_clips(data_samples, inputs.device,
                              self.segmenter.mask_stride).frames()
        metas = [frame.metainfo for sample in data_samples
                 for frame in sample.video_data_samples]
        encoded, decoded = self.decode(
            inputs.flatten(0, 1), [m['img_shape'] for m in metas])
        losses, matches = self.frame_losses(
            encoded, decoded, sizes_wh(metas, inputs.device), truth)
        assert matches.best is not None and self.loss_embed is not None
        return losses | self.loss_embed(*(
            x.unflatten(0, inputs.shape[:2])
            for x in (self.segmenter.embeds(decoded.hidden[-1]),
                      matches.best[-1].where(truth.valid, -1))))

    def query_losses(self, encoded: EncodedFrames, decoded: DecodedQueries,
                     image_wh: Tensor, key_gt: GroundTruth,
                     ref_gt: GroundTruth | None) -> dict[str, Tensor]:
        """Losses of what was decoded.

        Args:
            encoded (EncodedFrames): Of N key, then N reference frames.
            decoded (DecodedQueries): The same.
            image_wh (Tensor): Shape (2N, 2), their sizes before padding.
            key_gt (GroundTruth): Of the key frames, with masks at
                ``mask_stride``.
            ref_gt (GroundTruth, optional): None if there are no such frames.

        Returns:
            dict[str, Tensor]: See :meth:`loss`.
        """
        batch = len(key_gt.boxes)
        key = decoded.frames(slice(None, batch))
        losses, matches = self.frame_losses(
            encoded.select(slice(None, batch)), key, image_wh[:batch], key_gt)
        if ref_gt is not None:
            losses.update(self.embed_losses(
                matches, key, key_gt, decoded.frames(slice(batch, None)),
                ref_gt))
        return losses

    def frame_losses(self, encoded: EncodedFrames, decoded: DecodedQueries,
                     image_wh: Tensor, gt: GroundTruth
                     ) -> tuple[dict[str, Tensor], Matches]:
        """Losses of N frames but for the embeddings, and what they learn;
        arguments as in :meth:`query_losses`."""
        queries = self.queries(decoded)
        assert self.matcher is not None and self.loss_instance is not None
        matches = self.matcher.match(queries, gt)
        cnp = self.memcnp_training
        if cnp is not None:
            matches = cnp.select(queries, gt, matches.best)
        masks = self.mask_logits(self.segmenter.mask_features(encoded),
                                 decoded, image_wh, matches.where)
        losses = self.loss_instance(queries.logits, decoded.boxes, masks,
                                    matches, gt)
        if cnp is not None and self.memcnp is not None:
            losses.update(cnp.box_losses(queries, matches, gt))
            # After all that reads the memory, on every rank.
            self.memcnp.write(decoded.hidden[-1], decoded.references[-1],
                              gt.xyxy, gt.valid)
        return losses, matches

    def queries(self, decoded: DecodedQueries) -> Queries:
        """What the layers say, as matchers and losses see it."""
        return Queries(self.segmenter.class_logits(decoded.hidden),
                       decoded.boxes, decoded.references, decoded.sigmas)

    def embed_losses(self, matches: Matches, key: DecodedQueries,
                     key_gt: GroundTruth, ref: DecodedQueries,
                     ref_gt: GroundTruth) -> dict[str, Tensor]:
        """Contrast of the objects with queries of the reference frames.

        Args:
            matches (Matches): Of the N key frames.
            key (DecodedQueries): Of the key frames.
            key_gt (GroundTruth): The same.
            ref (DecodedQueries): Of the N reference frames.
            ref_gt (GroundTruth): The same.

        Returns:
            dict[str, Tensor]: Of ``loss_embed``, or of MemCNP's contrast.
        """
        assert matches.best is not None and self.matcher is not None
        best, hidden = matches.best[-1], key.hidden[-1]
        embed = self.segmenter.embeds
        ref_embeds = embed(ref.hidden[-1])
        with torch.no_grad():
            last = Queries(
                self.segmenter.class_logits(ref.hidden[-1:])[0],
                ref.boxes[-1], ref.references[-1],
                None if ref.sigmas is None else ref.sigmas[-1])
        cnp = self.memcnp_training
        if cnp is not None and self._cnp_contrast:
            fallback = self.matcher.match(last, ref_gt).best
            picked = cnp.select(last, ref_gt, fallback)
            return cnp.track_loss(
                embed(hidden), best, key_gt.ids, ref_embeds, picked.best,
                ref_gt.ids)
        found, row = same_objects(key_gt, ref_gt)
        found = found & (best >= 0)
        # The reference frame's boxes in the order of the key frame's objects.
        there = key_gt._replace(
            valid=found, **{name: getattr(ref_gt, name).gather(
                1, row[..., None].expand(-1, -1, 4))
                            for name in ('boxes', 'cxcywh', 'xyxy')})
        positive, possible = (
            self.matcher.match(last, there, topk).of_each_object(
                found.shape[1])
            for topk in (self.positive_topk, self.ignore_topk))
        rows = best.clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
        assert self.loss_embed is not None
        return self.loss_embed(embed(hidden.gather(1, rows)), ref_embeds,
                               positive, ~possible, found)

    @property
    def _cnp_contrast(self) -> bool:
        """Whether MemCNP trains the embeddings, not the host."""
        return getattr(self.memcnp_training, 'contrast', None) is not None
