"""Systems that look again, over all frames, at what an online one followed."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.pixels import FrameMeta
from ..layers.schedule import phase
from ..segmenters.mask2former import ClipQueries, FrameQueries
from .base import VIS
from .mask2former_vis import Mask2FormerVIS


class VideoRows(NamedTuple):
    """N rows that were followed over T frames, of a video or of B of them.

    Attributes:
        rows: ([B,] T, N, C), aligned over time.
        frames: ([B,] T, M, C), queries of the frames.
        logits: ([B,] N, K + 1), what the online system says of the video.
        masks: ([B,] T, N, h, w), its mask logits; h is 0 at inference.
    """
    rows: Tensor
    frames: Tensor
    logits: Tensor
    masks: Tensor


class OfflineVIS(Mask2FormerVIS[FrameQueries]):
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
        with_online_scores (bool): A class scores the better of the two
            predictions (DVIS++, O2VIS). Defaults to False, the refiner's.
        kwargs: See :class:`Mask2FormerVIS`.
    """
    default_ranking = dict(type='LatestClass', score_thr=0., num_pairs=20)
    default_loss = dict(type='SampledMaskLoss', whole_clips=True)

    def __init__(self,
                 *,
                 online: VIS,
                 refiner: dict,
                 with_online_scores: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(
            segmenter=online.get_submodule('segmenter'), **kwargs)
        # Not as a module of its own: its parts would have two names.
        self.__dict__['online'] = online.requires_grad_(False).eval()
        for name, part in online.named_children():
            if part.state_dict():
                self.add_module(name, part)
        self.refiner = MODELS.build(refiner)
        self.with_online_scores = with_online_scores
        self.stage = 0

    def track(self, frames: Sequence[FrameQueries]) -> VideoRows:
        """Follow a video online.

        Args:
            frames (Sequence[FrameQueries]): T frames, one each.
        """
        raise NotImplementedError

    @property
    def kept(self) -> slice:
        """Lines of the online masks that are kept: only training needs
        them."""
        return slice(None) if self.training else slice(0)

    def train(self, mode: bool = True) -> OfflineVIS:
        """Training mode of the refiner alone."""
        super().train(mode)
        self.online.eval()
        return self

    # -- training -----------------------------------------------------------
    def set_progress(self, iteration: int, max_iters: int) -> None:
        """Set the stage; see :class:`ProgressHook`."""
        self.stage = phase(iteration, (max_iters / 2, ))

    @torch.no_grad()
    def follow(self, clips: Tensor) -> tuple[VideoRows, Tensor]:
        """Rows of clips (N, T, 3, H, W), and their mask features (N, T, D,
        h, w)."""
        found, length = self.segmenter(clips.flatten(0, 1)), clips.shape[1]
        frames = found.split()
        videos = [self.track(frames[at:at + length])
                  for at in range(0, len(frames), length)]
        return (VideoRows._make(map(torch.stack, zip(*videos, strict=True))),
                found.mask_features.unflatten(0, (-1, length)))

    def segment(self, clips: Tensor) -> ClipQueries:
        """See :meth:`Mask2FormerVIS.segment`; rows in the place of queries."""
        tracked, features = self.follow(clips)
        logits, embeds = self.refiner(
            tracked.rows, tracked.frames, all_layers=self.training)
        found = ClipQueries(logits, embeds, features)
        if self.stage or not self.training:
            return found
        # The masks are there: each is a feature that its row alone reads.
        own = torch.eye(tracked.masks.shape[2]).to(features)
        return found._replace(matched_as=ClipQueries(
            tracked.logits[None],
            own.expand(1, *features.shape[:2], -1, -1), tracked.masks))

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
        rows = self.candidates(scores)
        # Frame by frame: the features of the video are not copied.
        masks = [torch.einsum('nd,dhw->nhw', own[rows], item.mask_features[0])
                 for own, item in zip(embeds[-1, 0], encoded, strict=True)]
        return InstanceData(class_scores=scores[rows], rows=rows,
                            mask_logits=torch.stack(masks, 1))
