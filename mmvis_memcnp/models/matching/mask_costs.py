"""What it costs a query to stand for an object by its mask."""
import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ..layers.points import point_sample
from ..truth.clip_truth import ClipTruth
from .costs import MatchCost, Queries, Truth


def bce_cost(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of every pair, also under autocast.

    Args:
        logits: (..., Q, P) at points.
        target: (..., G, P) in [0, 1].

    Returns:
        (..., Q, G) float32, at least 0.
    """
    # Sums over the points of a clip do not fit half precision.
    with torch.autocast(logits.device.type, enabled=False):
        logits, target = logits.float(), target.float()
        # -t log s(x) - (1 - t) log(1 - s(x)) = softplus(x) - t x
        empty = F.softplus(logits).mean(-1, keepdim=True)
        return empty - logits @ target.transpose(-1, -2) / logits.shape[-1]


def dice_cost(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss of every pair, as :func:`bce_cost`; in [0, 1]."""
    with torch.autocast(logits.device.type, enabled=False):
        p, target = logits.float().sigmoid(), target.float()
        both = p @ target.transpose(-1, -2)
        total = p.sum(-1, keepdim=True) + target.sum(-1)[..., None, :]
        return 1 - (2 * both + 1) / (total + 1)


@TASK_UTILS.register_module()
class SampledMaskCost(MatchCost):
    """Cross-entropy and dice costs of masks at random points.

    The points are the same for all queries, objects and layers, and for all
    frames of a clip, whose masks count as one.
    Source: Cheng et al., Mask2Former, CVPR 2022.

    Args:
        mask_weight (float): Of the cross-entropy. Defaults to 5.
        dice_weight (float): Of the dice cost. Defaults to 5.
        num_points (int): P; more are more exact and slower. Defaults to
            12544.
    """

    def __init__(self,
                 mask_weight: float = 5.,
                 dice_weight: float = 5.,
                 num_points: int = 12544) -> None:
        super().__init__()
        self.mask_weight = mask_weight
        self.dice_weight = dice_weight
        self.num_points = num_points

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """See :class:`MatchCost`; with masks of the padded input."""
        embeds, features = queries.mask_embeds, queries.mask_features
        assert embeds is not None and features is not None
        if isinstance(truth, ClipTruth):
            masks = truth.masks.transpose(1, 2)
        else:  # A frame is a clip of one.
            embeds, features = embeds[:, :, None], features[:, None]
            masks = truth.known_masks()[:, None]
        frames = features.shape[1]
        points = torch.rand(len(features), self.num_points, 2,
                            device=features.device)
        points = points.repeat_interleave(frames, 0)
        # A mask is linear in the features, so are its values at points.
        features, target = (
            point_sample(x.flatten(0, 1), points).unflatten(0, (-1, frames))
            for x in (features, masks.float()))
        target = target.transpose(1, 2).flatten(2)
        # All layers at once would take L times 5 MB a frame, thrice.
        return torch.stack([
            self._masks((layer @ features).transpose(1, 2).flatten(2), target)
            for layer in embeds])

    def _masks(self, logits: Tensor, target: Tensor) -> Tensor:
        return (self.mask_weight * bce_cost(logits, target) +
                self.dice_weight * dice_cost(logits, target))
