"""Systems that look again, over all frames, at what an online one followed."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.pixels import FrameMeta
from ..layers.schedule import phase
from ..matching import Queries
from ..segmenters.mask2former import FrameQueries
from ..truth.clip_truth import ClipTruth, collect_clips
from .base import VIS
from .clip import ClipOptions, ClipVIS


class VideoRows(NamedTuple):
    """N rows that were followed over T frames, of a video or of B of them.

    Attributes:
        rows: ([B,] T, N, C), aligned over time.
        frames: ([B,] T, M, C), queries of the frames.
        logits: ([B,] N, K + 1), what the online system says of the video.
        mask_embeds: ([B,] T, N, E), its weights of the mask features, as
            :meth:`OfflineVIS.online_features` gives them.
    """
    rows: Tensor
    frames: Tensor
    logits: Tensor
    mask_embeds: Tensor


class OfflineVIS(ClipVIS[FrameQueries]):
    """Base of systems that refine the rows of an online one.

    When a video, or a window of it, is complete, the online system follows it
    and the refiner reads all frames. The parts of the online system are
    frozen and have the names that they have there, so that what was trained
    online is loaded as it is. In the first half of the training rows learn
    the objects that their online predictions match, then those of their own.
    A subclass says how rows are followed (:meth:`track`).

    Args:
        online (VIS): The online system, whose parts become this model's.
        refiner (dict): :class:`TemporalRefiner`.
        matcher (dict, optional): :class:`OneToOneMatcher`; only training
            needs it.
        loss (dict, optional): Defaults to a :class:`SampledMaskLoss` with
            ``whole_clips``.
        with_online_scores (bool): A class scores the better of the two
            predictions (DVIS++, O2VIS). Defaults to False, the refiner's.
        kwargs: See :class:`ClipVIS`.
    """
    default_ranking = dict(type='LatestClass', score_thr=0., num_pairs=20)
    mask_way = 'bilinear'

    def __init__(self,
                 *,
                 online: VIS,
                 refiner: dict,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 with_online_scores: bool = False,
                 **kwargs: Unpack[ClipOptions]) -> None:
        super().__init__(**kwargs)
        # Not as a module of its own: its parts would have two names.
        self.__dict__['online'] = online
        self._followed = [name for name, part in online.named_children()
                          if part.state_dict()]
        for name in self._followed:
            self.add_module(
                name, online.get_submodule(name).requires_grad_(False).eval())
        self.refiner = MODELS.build(refiner)
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        self.clip_loss = MODELS.build(
            loss or dict(type='SampledMaskLoss', whole_clips=True))
        self.with_online_scores = with_online_scores
        # No track can come from further rows.
        self.num_rows = int(self.ranking.get('num_pairs') or 2**31)
        self.stage = 0

    def track(self, frames: Sequence[FrameQueries]) -> VideoRows:
        """Follow a video online.

        Args:
            frames (Sequence[FrameQueries]): T frames, one each.
        """
        raise NotImplementedError

    def online_features(self, mask_features: Tensor) -> Tensor:
        """What online masks are read from, (B, E, h, w), of mask features
        (B, D, h, w) of the segmenter."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> OfflineVIS:
        """Training mode of the refiner alone."""
        super().train(mode)
        for name in self._followed:
            self.get_submodule(name).eval()
        return self

    # -- training -----------------------------------------------------------
    def set_progress(self, iteration: int, max_iters: int) -> None:
        """Set the stage; see :class:`ProgressHook`."""
        self.stage = phase(iteration, (max_iters / 2, ))

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of the refiner on a batch of clips.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W).
            data_samples (list[TrackDataSample]): Annotated frames.

        Returns:
            dict[str, Tensor]: See :meth:`SampledMaskLoss.forward`.
        """
        # Before the network: what it reads back would wait for that.
        truth = collect_clips(data_samples, inputs.device, mask_stride=1)
        return self.clip_losses(*self.follow(inputs), truth)

    @torch.no_grad()
    def follow(self, clips: Tensor) -> tuple[VideoRows, Tensor]:
        """Rows of clips (N, T, 3, H, W), and their mask features (N, T, D,
        h, w)."""
        found = self.get_submodule('segmenter')(clips.flatten(0, 1))
        count, length = clips.shape[:2]
        frames = [found.frames(slice(t, t + 1)) for t in range(count * length)]
        videos = [self.track(frames[n * length:(n + 1) * length])
                  for n in range(count)]
        rows = VideoRows._make(map(torch.stack, zip(*videos, strict=True)))
        return rows, found.mask_features.unflatten(0, (count, length))

    def clip_losses(self, tracked: VideoRows, features: Tensor,
                    truth: ClipTruth) -> dict[str, Tensor]:
        """Losses of tracked clips.

        Args:
            tracked (VideoRows): Of N clips.
            features (Tensor): Shape (N, T, D, h, w), of the segmenter.
            truth (ClipTruth): Of the same clips.
        """
        if self.matcher is None:
            raise ValueError(
                'Training needs a matcher: set matcher in the config.')
        logits, embeds = self.refiner(
            tracked.rows, tracked.frames, all_layers=True)
        if self.stage:
            queries = Queries(
                logits, mask_embeds=embeds, mask_features=features)
        else:
            online = self.online_features(features.flatten(0, 1))
            queries = Queries(
                tracked.logits[None], mask_embeds=tracked.mask_embeds[None],
                mask_features=online.unflatten(0, features.shape[:2]))
        # Online predictions are one layer, which all of them learn from.
        matches = self.matcher.match(queries, truth).map(
            lambda x: x.expand(len(logits), *x.shape[1:]))
        return self.clip_loss(logits, embeds, features, matches, truth)

    # -- inference ----------------------------------------------------------
    def encode(self, frames: Tensor,
               metas: Sequence[FrameMeta]) -> Sequence[FrameQueries]:
        """See :meth:`VIS.encode`."""
        return self.online.encode(frames, metas)

    def decode(self, encoded: list[FrameQueries],
               metas: list[FrameMeta]) -> InstanceData:
        """See :meth:`ClipVIS.decode`; the best rows, best first."""
        tracked = self.track(encoded)
        logits, embeds = self.refiner(
            tracked.rows[None], tracked.frames[None], all_layers=False)
        scores = logits[-1, 0].float().softmax(-1)[:, :-1]
        if self.with_online_scores:
            scores = scores.maximum(
                tracked.logits.float().softmax(-1)[:, :-1])
        rows = scores.amax(1).topk(min(self.num_rows, len(scores))).indices
        # Frame by frame: the features of the video are not copied.
        masks = [torch.einsum('nd,dhw->nhw', own[rows], item.mask_features[0])
                 for own, item in zip(embeds[-1, 0], encoded, strict=True)]
        return InstanceData(class_scores=scores[rows], rows=rows,
                            mask_logits=torch.stack(masks, 1))

    def bytes_per_frame(self, input_hw: tuple[int, int]) -> int:
        """See :meth:`ClipVIS.bytes_per_frame`: queries and mask features in
        single precision, and at the end the masks of the best rows."""
        segmenter = self.get_submodule('segmenter')
        decoder, embed = segmenter.decoder, segmenter.embed_head
        area = math.prod(-(-side // 4) for side in input_hw)
        queries, dims = decoder.query_feat.weight.shape
        mask_dims = decoder.mask_embed.layers[-1].out_features
        each = (2 * dims + mask_dims + decoder.cls_embed.out_features +
                (embed.layers[-1].out_features if embed else 0))
        return 4 * (queries * each + area * (
            mask_dims + min(self.num_rows, queries)))

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, R, K + 1) and mask logits (N, R, T, h, w) of
        clips."""
        tracked, features = self.follow(inputs)
        logits, embeds = self.refiner(
            tracked.rows, tracked.frames, all_layers=False)
        return logits[-1], torch.einsum(
            'btqd,btdhw->bqthw', embeds[-1], features)
