"""IDOL: queries of single frames, told apart by contrastive embeddings."""
from __future__ import annotations

from typing import Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from torch import Tensor

from ..matching import Queries
from ..segmenters.deformable import DecodedQueries, EncodedFrames, sizes_wh
from ..truth.clip_truth import collect_clips
from ..truth.ground_truth import (
    GroundTruth,
    clip_frames,
    collect_ground_truth,
    same_objects,
)
from ..truth.matches import Matches
from .query_online import QueryOptions, QueryVIS


@MODELS.register_module()
class IDOL(QueryVIS):
    """:class:`QueryVIS`, trained on pairs of frames.

    A query has a class, a box, a mask and an embedding. Training takes a key
    frame, on which instances are learnt, and a reference frame, whose queries
    the key frame's embeddings are contrasted with. Source: Wu et al., In
    Defense of Online Models for Video Instance Segmentation, ECCV 2022.

    Args:
        matcher (dict, optional): A ``SimOTAMatcher``; only training needs it,
            and the losses.
        loss_instance (dict, optional): An ``IDOLLoss``.
        loss_embed (dict, optional): A ``ContrastiveEmbeddingLoss``. Without
            it, training needs key frames alone: instances of images. A
            ``ClipContrast`` trains all frames of a clip, as CTVIS does.
        positive_topk (int): IoUs that are summed to the number of positives
            of an object on the reference frame. Defaults to 10.
        ignore_topk (int): The same for what is no negative. Defaults to 100.
        kwargs: See :class:`QueryVIS`.
    """

    def __init__(self,
                 *,
                 matcher: dict | None = None,
                 loss_instance: dict | None = None,
                 loss_embed: dict | None = None,
                 positive_topk: int = 10,
                 ignore_topk: int = 100,
                 **kwargs: Unpack[QueryOptions]) -> None:
        super().__init__(**kwargs)
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.loss_instance = (
            MODELS.build(loss_instance) if loss_instance else None)
        self.loss_embed = (
            MODELS.build(loss_embed)
            if loss_embed and not self._cnp_contrast else None)
        self.positive_topk = positive_topk
        self.ignore_topk = ignore_topk

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
