"""IFR: Consistent Video Instance Segmentation with Inter-Frame Recurrent
Attention. You et al., arXiv 2206.07011.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.pixels import FrameMeta
from ..matching import bce_cost, dice_cost, hungarian
from ..segmenters.mask2former import ClipQueries
from .mask2former_vis import Mask2FormerVIS

#: Weights of class, cross-entropy and dice in eq. 4, as in training.
CLASS_WEIGHT, MASK_WEIGHT, DICE_WEIGHT = 2., 5., 5.
#: Points a frame and axis by which results of two resolutions are matched.
GRID = 32
#: Resolutions that make sense: a tenth of a frame shows next to nothing.
SCALES = .1, 10.
#: Sides that the strides divide.
DIVISOR = 32


@MODELS.register_module()
class IFR(Mask2FormerVIS[tuple]):
    """Mask2Former with a :class:`RecurrentDecoder`, trained by
    :class:`CrossFrameLoss`.

    Test-time augmentation (``scales``) takes a clip at several resolutions.
    Each query of one result, the pivot, is matched with a query of every
    other result by the cost that matches queries and objects in training (eq.
    4), the pivot in the place of the objects. The class scores of those that
    belong together are averaged, and so are their mask probabilities.

    Args:
        scales (Sequence[float]): Resolutions as factors of the frames'
            own, 0.1 to 10; each more costs as much time and memory as the
            first. Defaults to (1,), no augmentation.
        pivot (int): Which of them the others are matched with. The paper
            draws it; here a result does not depend on chance. Defaults to 0.
        kwargs: See :class:`Mask2FormerVIS`.
    """

    def __init__(self, *, scales: Sequence[float] = (1., ), pivot: int = 0,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        low, high = SCALES
        # Comparisons with NaN are false.
        if not scales or not all(low <= scale <= high for scale in scales):
            raise ValueError('scales are factors of the size of the frames, '
                             f'at least one, each from {low} to {high}; got '
                             f'{tuple(scales)}.')
        if not 0 <= pivot < len(scales):
            raise ValueError(f'pivot is {pivot} and must be one of '
                             f'{len(scales)} scales, from 0 on.')
        self.scales = tuple(map(float, scales))
        self.pivot = pivot

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> list[tuple]:
        """See :meth:`VIS.encode`: maps at every resolution."""
        if self.scales == (1., ):  # No augmentation.
            return list(super().encode(frames, metas))
        frames = _pad(frames, self.mask_stride)
        return list(zip(*(
            self.segmenter.encode(_pad(F.interpolate(
                # A CPU resizes so in single precision alone.
                frames.float(), size=self._size(frames.shape[-2:], scale),
                mode='bilinear', align_corners=False, antialias=True
            ).to(frames), DIVISOR)).split()
            for scale in self.scales), strict=True))

    def _size(self, input_hw: Sequence[int], scale: float) -> tuple[int, int]:
        """Height and width at a resolution, whole cells of the canvas."""
        height, width = (
            max(round(side * scale / self.mask_stride), 1) * self.mask_stride
            for side in input_hw)
        return height, width

    def decode(self, encoded: list[tuple],
               metas: list[FrameMeta]) -> InstanceData:
        """See :meth:`ClipVIS.decode`; the best first."""
        if self.scales == (1., ):
            return super().decode(encoded, metas)
        height, width = (-(-side // self.mask_stride) * self.mask_stride
                         for side in metas[0]['batch_input_shape'])
        found, scores = [], []
        for scale, frames in zip(
                self.scales, zip(*encoded, strict=True), strict=True):
            queries, own = self.segmenter.decode_clip(frames)
            h, w = (side // self.mask_stride
                    for side in self._size((height, width), scale))
            # All that is left covers the same part of the scene.
            found.append(queries._replace(
                mask_features=queries.mask_features[..., :h, :w]))
            scores.append(own)
        orders = self._match(found, scores)
        mean = torch.stack([own[order] for own, order in zip(
            scores, orders, strict=True)]).mean(0)
        rows = self.candidates(mean)
        size = height // self.mask_stride, width // self.mask_stride
        probs = torch.stack([
            F.interpolate(queries.masks(order[rows])[0].float(), size,
                          mode='bilinear', align_corners=False).sigmoid()
            for queries, order in zip(found, orders, strict=True)]).mean(0)
        return InstanceData(class_scores=mean[rows],
                            mask_logits=probs.logit(eps=1e-6))

    @torch.no_grad()
    def _match(self, found: list[ClipQueries],
               scores: list[Tensor]) -> list[Tensor]:
        """Of every resolution the query of each of the pivot's queries.

        Args:
            found (list[ClipQueries]): Of one clip.
            scores (list[Tensor]): Class scores (Q, K).

        Returns:
            list[Tensor]: Shape (Q,) int64 each, every query once.
        """
        logits = [
            queries._replace(mask_features=F.interpolate(
                queries.mask_features[0], (GRID, GRID), mode='bilinear',
                align_corners=False)[None]).masks()[0].float().flatten(1)
            for queries in found]
        target = logits[self.pivot].sigmoid()
        labels = scores[self.pivot].argmax(1)
        costs = torch.stack([
            MASK_WEIGHT * bce_cost(own, target) +
            DICE_WEIGHT * dice_cost(own, target) -
            CLASS_WEIGHT * classes[:, labels]
            for own, classes in zip(logits, scores, strict=True)])
        best = hungarian(costs, torch.ones_like(labels, dtype=torch.bool))
        # The pivot is itself.
        best[self.pivot] = torch.arange(len(labels))
        return list(best.to(labels.device))


def _pad(frames: Tensor, divisor: int) -> Tensor:
    """Zeros right and below, up to multiples of a number."""
    height, width = frames.shape[-2:]
    return F.pad(frames, (0, -width % divisor, 0, -height % divisor))
