"""Losses of inter-frame recurrent attention.

You et al., Consistent Video Instance Segmentation with Inter-Frame Recurrent
Attention, arXiv 2206.07011, eqs 5 to 7.
"""
from typing import Any

from mmdet.registry import MODELS
from torch import Tensor

from ..truth.clip_truth import ClipTruth
from ..truth.ground_truth import GroundTruth
from ..truth.matches import Matches
from .focal_dice import focal_classes
from .sampled_mask import SampledMaskLoss


@MODELS.register_module()
class CrossFrameLoss(SampledMaskLoss):
    """Focal loss of classes; masks by the queries of each other frame too.

    The query of a frame is to say the object's mask with the mask features of
    every other frame of the clip as well. The learned queries before the
    first layer are one for all frames, which leaves these terms out there.

    Args:
        cross_weight (float): lambda_e, of these terms beside a frame's own;
            a higher one makes the queries of an object alike, too high a one
            keeps them from following their frame. Defaults to 0.3.
        alpha (float): Of the focal loss, a sum by the number of objects.
            Defaults to 0.25.
        gamma (float): Of the focal loss. Defaults to 2.
        kwargs: See :class:`SampledMaskLoss`.
    """

    def __init__(self,
                 *,
                 cross_weight: float = 0.3,
                 alpha: float = 0.25,
                 gamma: float = 2.,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cross_weight = cross_weight
        self.alpha = alpha
        self.gamma = gamma

    def classes(self, logits: Tensor, labels: Tensor, matches: Matches,
                count: Tensor) -> Tensor:
        """Focal loss by the number of objects (L,)."""
        return focal_classes(
            logits, labels, matches, self.alpha, self.gamma) / count

    def masks(self, mask_embeds: Tensor, mask_features: Tensor,
              matches: Matches,
              gt: GroundTruth | ClipTruth) -> tuple[Tensor, Tensor]:
        """See :meth:`SampledMaskLoss.masks`; of clips."""
        mask, overlap = super().masks(mask_embeds, mask_features, matches, gt)
        if self.cross_weight == 0:
            return mask, overlap
        weight = mask.new_full((len(mask), ), self.cross_weight)
        weight[0] = 0.
        # The queries of frame t at frame t + shift, around the clip: every
        # pair of frames once.
        for shift in range(1, mask_features.shape[1]):
            cross = super().masks(
                mask_embeds.roll(shift, 2), mask_features, matches, gt)
            mask, overlap = (
                own + weight * other for own, other in zip(
                    (mask, overlap), cross, strict=True))
        return mask, overlap
