"""Class, box and mask losses of all layers of a query decoder at once."""
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from torch import Tensor, nn

from ...structures.ground_truth import GroundTruth


class QueryPairs(NamedTuple):
    """P pairs of a query and its ground truth, index tensors (P,) int64.

    Attributes:
        layer: decoder layer.
        frame: frame of the batch.
        query: query of the frame.
        gt: ground truth of the frame.
    """
    layer: Tensor
    frame: Tensor
    query: Tensor
    gt: Tensor

    @classmethod
    def of(cls, gt_index: Tensor) -> 'QueryPairs':
        """All pairs of an assignment (L, B, Q), -1 for none."""
        layer, frame, query = (gt_index >= 0).nonzero(as_tuple=True)
        return cls(layer, frame, query, gt_index[layer, frame, query])


@MODELS.register_module()
class QueryInstanceLoss(nn.Module):
    """Focal loss of all queries; L1, GIoU, focal and dice loss of the pairs.

    Each layer's sums are divided by its own number of pairs on this device.
    Source: the losses of IDOL and SeqFormer, with the weights of their
    released code.

    Args:
        cls_weight (float): Defaults to 2.
        bbox_weight (float): Defaults to 5.
        giou_weight (float): Defaults to 2.
        mask_weight (float): Defaults to 2.
        dice_weight (float): Defaults to 5.
        alpha (float): Of both focal losses. Defaults to 0.25.
        gamma (float): Of both focal losses. Defaults to 2.
    """

    def __init__(self,
                 cls_weight: float = 2.,
                 bbox_weight: float = 5.,
                 giou_weight: float = 2.,
                 mask_weight: float = 2.,
                 dice_weight: float = 5.,
                 alpha: float = 0.25,
                 gamma: float = 2.) -> None:
        super().__init__()
        self.weights = dict(
            loss_cls=cls_weight,
            loss_bbox=bbox_weight,
            loss_giou=giou_weight,
            loss_mask=mask_weight,
            loss_dice=dice_weight)
        self.alpha = alpha
        self.gamma = gamma

    def forward(self, logits: Tensor, boxes: Tensor, mask_logits: Tensor,
                pairs: QueryPairs, gt: GroundTruth, image_wh: Tensor,
                ignored: Optional[Tensor] = None) -> dict[str, Tensor]:
        """Losses of L layers and B frames.

        Args:
            logits (Tensor): Shape (L, B, Q, K), class logits.
            boxes (Tensor): Shape (L, B, Q, 4), cx, cy, w, h as fractions.
            mask_logits (Tensor): Shape (P, h, w) at a quarter of the padded
                input, of the pairs.
            pairs (QueryPairs): P pairs.
            gt (GroundTruth): Of the B frames, with masks.
            image_wh (Tensor): Shape (B, 2), width and height before padding.
            ignored (Tensor, optional): Shape (L, B, Q) bool, queries whose
                class is not learnt.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox``, ``loss_giou``,
            ``loss_mask`` and ``loss_dice`` of the last layer, the same
            with the prefix ``d<l>.`` of the others.

        Raises:
            ValueError: If masks and logits differ in size.
        """
        target = torch.zeros_like(logits, dtype=torch.float)
        target[pairs.layer, pairs.frame, pairs.query,
               gt.labels[pairs.frame, pairs.gt]] = 1.
        own = boxes[pairs.layer, pairs.frame, pairs.query].float()
        goal = gt_fractions(gt, image_wh)[pairs.frame, pairs.gt]
        giou = bbox_overlaps(
            bbox_cxcywh_to_xyxy(own), bbox_cxcywh_to_xyxy(goal), 'giou',
            is_aligned=True, eps=1e-7)
        focal, dice = self._mask_losses(mask_logits,
                                        quarter_masks(gt, mask_logits), pairs)
        classes = self.focal(logits, target)
        if ignored is not None:
            classes = classes.masked_fill(ignored[..., None], 0.)
        totals = dict(loss_cls=classes.sum((1, 2, 3)))
        for name, value in (('loss_bbox', (own - goal).abs().sum(1)),
                            ('loss_giou', 1 - giou), ('loss_mask', focal),
                            ('loss_dice', dice)):
            totals[name] = value.new_zeros(len(logits)).index_add(
                0, pairs.layer, value)
        count = torch.bincount(pairs.layer, minlength=len(logits))
        last = len(logits) - 1
        return {
            ('' if layer == last else f'd{layer}.') + name: loss
            for name, total in totals.items() for layer, loss in enumerate(
                self.weights[name] * total / count.clamp(min=1))
        }

    def _mask_losses(self, logits: Tensor, masks: Tensor,
                     pairs: QueryPairs) -> tuple[Tensor, Tensor]:
        """Focal and dice loss of each pair, (P,)."""
        target = masks[pairs.frame, pairs.gt].flatten(1).float()
        logits = logits.flatten(1).float()
        focal = self.focal(logits, target).mean(1)
        probs = logits.sigmoid()
        overlap = 2 * (probs * target).sum(1) + 1
        return focal, 1 - overlap / (probs.sum(1) + target.sum(1) + 1)

    def focal(self, logits: Tensor, target: Tensor) -> Tensor:
        """Focal loss of every element (Lin et al., ICCV 2017).

        Args:
            logits (Tensor): Any shape.
            target (Tensor): The same, 0 or 1.

        Returns:
            Tensor: The same, float32.
        """
        logits = logits.float()
        probs = logits.sigmoid()
        missed = probs + target - 2 * probs * target
        share = 1 - self.alpha + (2 * self.alpha - 1) * target
        return share * missed**self.gamma * F.binary_cross_entropy_with_logits(
            logits, target, reduction='none')


def gt_fractions(gt: GroundTruth, image_wh: Tensor) -> Tensor:
    """Ground-truth boxes as fractions of the frames before padding.

    Args:
        gt (GroundTruth): Of B frames.
        image_wh (Tensor): Shape (B, 2), width and height.

    Returns:
        Tensor: Shape (B, G, 4), cx, cy, w, h.
    """
    scale = torch.cat((image_wh, image_wh), 1)[:, None]
    low, high = (gt.boxes / scale).chunk(2, dim=-1)
    return torch.cat(((low + high) / 2, high - low), -1)


def quarter_masks(gt: GroundTruth, like: Tensor) -> Tensor:
    """Every fourth pixel of the masks, from the third on.

    Args:
        gt (GroundTruth): With masks.
        like (Tensor): Mask logits, whose size they must have.

    Returns:
        Tensor: Shape (B, G, h, w) bool.

    Raises:
        ValueError: If the sizes differ.
    """
    if gt.masks is None:
        raise ValueError('The losses need masks: load the annotations with '
                         'masks.')
    masks = gt.masks[..., 2::4, 2::4]
    if masks.shape[-2:] != like.shape[-2:]:
        raise ValueError(
            f'Masks of {tuple(masks.shape[-2:])} pixels at a quarter of the '
            f'input came with logits of {tuple(like.shape[-2:])}: pad inputs '
            'and masks to a multiple of 32 (pad_size_divisor, pad_mask).')
    return masks
