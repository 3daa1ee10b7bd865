"""Losses of IDOL's queries, of all decoder layers at once."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..truth.ground_truth import GroundTruth
from ..truth.matches import Matches
from .query import QueryLoss


@MODELS.register_module()
class IDOLLoss(QueryLoss):
    """Focal loss of all queries; L1, GIoU, focal and dice loss of the pairs.

    Each layer's sums are divided by its own number of pairs on this device.
    Source: the losses of IDOL, with the weights of its released code.
    """

    def forward(self, logits: Tensor, boxes: Tensor, mask_logits: Tensor,
                matches: Matches, gt: GroundTruth) -> dict[str, Tensor]:
        """Losses of L layers and B frames.

        Args:
            logits (Tensor): Shape (L, B, Q, K), class logits.
            boxes (Tensor): Shape (L, B, Q, 4), cx, cy, w, h as fractions.
            mask_logits (Tensor): Shape (P, h, w), of the pairs.
            matches (Matches): P pairs; the class of ignored queries is not
                learnt.
            gt (GroundTruth): Of the B frames, with masks of h x w.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox``, ``loss_giou``,
            ``loss_mask`` and ``loss_dice`` of the last layer, the same
            with the prefix ``d<l>.`` of the others.

        Raises:
            ValueError: If masks are missing or differ in size.
        """
        layers = len(logits)
        masks = _masks_like(gt, mask_logits)
        bbox, giou = self.boxes(boxes, gt, matches)
        mask, dice = self.masks(mask_logits, masks, matches, layers)
        return self.weighted(
            dict(
                loss_cls=self.classes(logits, gt.labels, matches),
                loss_bbox=bbox,
                loss_giou=giou,
                loss_mask=mask,
                loss_dice=dice),
            torch.bincount(matches.layer, minlength=layers).clamp(min=1))


def _masks_like(gt: GroundTruth, logits: Tensor) -> Tensor:
    """The masks, if they are of the size of the logits."""
    masks = gt.known_masks()
    if masks.shape[-2:] != logits.shape[-2:]:
        raise ValueError(
            f'Masks of {tuple(masks.shape[-2:])} pixels came with logits '
            f'of {tuple(logits.shape[-2:])}: collect the masks at the stride '
            'of the mask head (mask_stride).')
    return masks
