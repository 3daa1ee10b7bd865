"""Class and mask losses of Mask2Former, of all decoder layers at once."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from ..layers.points import point_sample, uncertain_points
from ..layers.segments import segment_sum
from ..truth.clip_truth import ClipTruth
from ..truth.ground_truth import GroundTruth
from ..truth.matches import Matches
from .by_layer import name_by_layer
from .focal_dice import dice


@MODELS.register_module()
class SampledMaskLoss(nn.Module):
    """Cross-entropy of all queries; of the pairs, losses of masks at points.

    Source: Cheng et al., Mask2Former, CVPR 2022, with the weights of its
    released code.

    Args:
        cls_weight (float): Of the classes' cross-entropy. Defaults to 2.
        mask_weight (float): Of the masks' cross-entropy. Defaults to 5.
        dice_weight (float): Of the dice loss. Defaults to 5.
        no_object_weight (float): Of queries without an object in the mean of
            the classes' loss; less makes a query say a class more readily.
            Defaults to 0.1.
        num_points (int): Points a mask; more are more exact and slower.
            Defaults to 12544.
        oversample_ratio (float): See :func:`uncertain_points`. Defaults to 3.
        importance_ratio (float): See there. Defaults to 0.75.
        whole_clips (bool): The masks of an object in a clip are one mask,
            with ``num_points`` points a frame, most of them in the frames
            where it is undecided (DVIS). Defaults to False, one mask a frame.
    """

    def __init__(self,
                 cls_weight: float = 2.,
                 mask_weight: float = 5.,
                 dice_weight: float = 5.,
                 no_object_weight: float = 0.1,
                 num_points: int = 12544,
                 oversample_ratio: float = 3.,
                 importance_ratio: float = 0.75,
                 whole_clips: bool = False) -> None:
        super().__init__()
        self.cls_weight = cls_weight
        self.mask_weight = mask_weight
        self.dice_weight = dice_weight
        self.no_object_weight = no_object_weight
        self.sampling = num_points, oversample_ratio, importance_ratio
        self.whole_clips = whole_clips

    def forward(self, logits: Tensor, mask_embeds: Tensor,
                mask_features: Tensor, matches: Matches,
                gt: GroundTruth | ClipTruth) -> dict[str, Tensor]:
        """Losses of L layers and B frames or clips, in single precision.

        A clip's mask is empty where the object is absent.

        Args:
            logits (Tensor): Shape (L, B, Q, K + 1), the last of no object.
            mask_embeds (Tensor): Shape (L, B, [T,] Q, D).
            mask_features (Tensor): Shape (B, [T,] D, h, w).
            matches (Matches): P pairs; the class of ignored queries is not
                learnt.
            gt (GroundTruth | ClipTruth): Of the B frames or clips, with masks
                of the padded input.

        Returns:
            dict[str, Tensor]: ``loss_cls``, a mean over queries, ``loss_mask``
            and ``loss_dice``, sums over objects by their number (a mean over
            the ranks, at least 1), of the last layer, and the same with the
            prefix ``d<l>.`` of the others.
        """
        count = reduce_mean(gt.valid.sum().float()).clamp(min=1)
        with torch.autocast(logits.device.type, enabled=False):
            classes = self.classes(
                logits.float(), gt.labels, matches, count)
            mask, overlap = self.masks(
                mask_embeds.float(), mask_features.float(), matches, gt)
        return {
            **name_by_layer('loss_cls', self.cls_weight * classes),
            **name_by_layer('loss_mask', self.mask_weight * mask / count),
            **name_by_layer('loss_dice', self.dice_weight * overlap / count)
        }

    def classes(self, logits: Tensor, labels: Tensor, matches: Matches,
                count: Tensor) -> Tensor:
        """Weighted mean cross-entropy (L,); shapes as in the call."""
        none = logits.shape[-1] - 1
        target = labels.new_full(logits.shape[:-1], none)
        target[matches.layer, matches.frame, matches.query] = labels[
            matches.frame, matches.gt]
        weight = torch.where(target == none, self.no_object_weight, 1.)
        if matches.ignored is not None:
            weight = weight.masked_fill(matches.ignored, 0.)
        loss = F.cross_entropy(
            logits.flatten(0, -2), target.flatten(), reduction='none')
        return ((loss.view_as(weight) * weight).flatten(1).sum(1) /
                weight.flatten(1).sum(1))

    def masks(self, mask_embeds: Tensor, mask_features: Tensor,
              matches: Matches,
              gt: GroundTruth | ClipTruth) -> tuple[Tensor, Tensor]:
        """Cross-entropy and dice loss, sums (L,); shapes as in the call."""
        layers, objects, sampling = len(mask_embeds), gt, self.sampling
        if not isinstance(gt, ClipTruth):
            masks = gt.known_masks()
            logits = pair_masks(mask_embeds, mask_features, matches,
                                gt.valid.shape[1])
        else:
            frames = mask_features.shape[1]
            by_frame = matches.by_frame(frames)
            logits = pair_masks(
                mask_embeds.flatten(1, 2), mask_features.flatten(0, 1),
                by_frame, gt.valid.shape[1])
            if self.whole_clips:  # frames below each other
                logits = logits.unflatten(0, (frames, -1)).transpose(
                    0, 1).flatten(1, 2)
                masks = gt.masks.flatten(2, 3)
                sampling = frames * sampling[0], *sampling[1:]
            else:
                matches, objects = by_frame, gt.frames(absent=True)
                masks = objects.known_masks()
        points = uncertain_points(logits, *sampling)
        found = point_sample(logits[:, None], points)[:, 0]
        target = targets_at(points, matches, objects.valid, masks, layers)
        bce = F.binary_cross_entropy_with_logits(
            found, target, reduction='none').mean(1)
        return (segment_sum(bce, matches.layer, layers),
                segment_sum(dice(found, target), matches.layer, layers))


def pair_masks(mask_embeds: Tensor, mask_features: Tensor, matches: Matches,
               num_objects: int) -> Tensor:
    """Mask logits of pairs.

    Args:
        mask_embeds: (L, B, Q, D).
        mask_features: (B, D, h, w).
        matches: P pairs, no two of an object and a layer.
        num_objects: G, objects a frame.

    Returns:
        (P, h, w).
    """
    layers, batch, _, dims = mask_embeds.shape
    # One product for all frames: a row an object and layer.
    table = mask_embeds.new_zeros(batch, layers, num_objects, dims)
    rows = matches.frame, matches.layer, matches.gt
    table[rows] = mask_embeds[matches.layer, matches.frame, matches.query]
    masks = table.flatten(1, 2) @ mask_features.flatten(2)
    return masks.view(*table.shape[:3], *mask_features.shape[2:])[rows]


def targets_at(points: Tensor, matches: Matches, valid: Tensor,
               masks: Tensor, num_layers: int) -> Tensor:
    """The objects' masks at the points of their pairs.

    Args:
        points: (P, N, 2) x, y as fractions of the padded input.
        matches: P pairs, no two of an object and a layer.
        valid: (B, G) bool, objects that are none where False.
        masks: (B, G, H, W) bool, of the objects.
        num_layers: L.

    Returns:
        (P, N) float32, in [0, 1].
    """
    # A mask of the input's size is read once for the points of all layers.
    masks = masks[valid].float()
    number = valid.flatten().cumsum(0).view_as(valid) - 1
    rows = number[matches.frame, matches.gt], matches.layer
    table = points.new_zeros(len(masks), num_layers, *points.shape[1:])
    table[rows] = points
    found = point_sample(masks[:, None], table.flatten(1, 2))
    return found.view(table.shape[:3])[rows]
