"""What it costs a query to stand for an object, by class and by mask."""
import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ..layers.points import point_sample
from ..truth.ground_truth import GroundTruth


def softmax_class_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the probability of the object's class.

    Args:
        logits: (..., Q, K + 1), the last of no object.
        labels: (..., G) int64.

    Returns:
        (..., Q, G), in [-1, 0].
    """
    shape = (*logits.shape[:-1], labels.shape[-1])
    return -logits.softmax(-1).gather(-1, labels[..., None, :].expand(shape))


def bce_cost(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of every pair.

    Args:
        logits: (..., Q, P) at points.
        target: (..., G, P) in [0, 1].

    Returns:
        (..., Q, G), at least 0.
    """
    # -t log s(x) - (1 - t) log(1 - s(x)) = softplus(x) - t x
    empty = F.softplus(logits).mean(-1, keepdim=True)
    return empty - logits @ target.transpose(-1, -2) / logits.shape[-1]


def dice_cost(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss of every pair; shapes as in :func:`bce_cost`, in [0, 1]."""
    p = logits.sigmoid()
    both = p @ target.transpose(-1, -2)
    total = p.sum(-1, keepdim=True) + target.sum(-1)[..., None, :]
    return 1 - (2 * both + 1) / (total + 1)


@TASK_UTILS.register_module()
class SampledMaskCost:
    """Class, cross-entropy and dice costs; masks at random points.

    The points of a frame are the same for all queries, objects and layers.
    Source: Cheng et al., Mask2Former, CVPR 2022.

    Args:
        cls_weight (float): Of the class cost. Defaults to 2.
        mask_weight (float): Of the cross-entropy. Defaults to 5.
        dice_weight (float): Of the dice cost. Defaults to 5.
        num_points (int): P; more are more exact and slower. Defaults to
            12544.
    """

    def __init__(self,
                 cls_weight: float = 2.,
                 mask_weight: float = 5.,
                 dice_weight: float = 5.,
                 num_points: int = 12544) -> None:
        self.cls_weight = cls_weight
        self.mask_weight = mask_weight
        self.dice_weight = dice_weight
        self.num_points = num_points

    def __call__(self, logits: Tensor, mask_embeds: Tensor,
                 mask_features: Tensor, gt: GroundTruth) -> Tensor:
        """Cost of every pair.

        Args:
            logits (Tensor): Shape (L, B, Q, K + 1).
            mask_embeds (Tensor): Shape (L, B, Q, D).
            mask_features (Tensor): Shape (B, D, h, w).
            gt (GroundTruth): Of the B frames, with masks of the padded input.

        Returns:
            Tensor: Shape (L, B, Q, G) float32.
        """
        device = logits.device
        with torch.autocast(device.type, enabled=False):
            points = torch.rand(len(mask_features), self.num_points, 2,
                                device=device)
            # A mask is linear in the features, so are its values at points.
            features = point_sample(mask_features.float(), points)
            target = point_sample(gt.known_masks().float(), points)
            # All layers at once would take L times 5 MB a frame, thrice.
            masks = torch.stack([
                self._masks(embeds.float() @ features, target)
                for embeds in mask_embeds])
            classes = softmax_class_cost(logits.float(), gt.labels[None])
        return self.cls_weight * classes + masks

    def _masks(self, logits: Tensor, target: Tensor) -> Tensor:
        return (self.mask_weight * bce_cost(logits, target) +
                self.dice_weight * dice_cost(logits, target))
