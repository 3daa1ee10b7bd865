"""Losses of SeqFormer on clips, of all decoder layers at once."""
import torch
from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from torch import Tensor

from ..truth.clip_truth import ClipTruth
from ..truth.matches import Matches
from .query import QueryLoss


@MODELS.register_module()
class SeqFormerLoss(QueryLoss):
    """Class, box and mask losses of queries and the objects they got.

    A frame in which an object is absent takes part: its box is to become
    zeros and its mask empty. Dice loss has one value a mask tube. More pairs
    than those of the matching may train the boxes; the box losses are their
    means then.
    """

    def forward(self, logits: Tensor, boxes: Tensor, mask_logits: Tensor,
                matches: Matches, truth: ClipTruth,
                normaliser: Tensor,
                box_matches: Matches | None = None) -> dict[str, Tensor]:
        """Weighted losses; those of the last layer have plain names.

        Args:
            logits (Tensor): Shape (L, B, Q, K) of L layers and B clips.
            boxes (Tensor): Shape (L, B, Q, T, 4), cx, cy, w, h.
            mask_logits (Tensor): Shape (P, T, h, w), of the pairs.
            matches (Matches): P pairs, as many in every layer.
            truth (ClipTruth): Objects of the B clips.
            normaliser (Tensor): Number of objects that a loss is divided by.
            box_matches (Matches, optional): Pairs that train the boxes, any
                number in a layer; its mean over the ranks divides their
                losses. Defaults to ``matches``, as all other losses.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox``, ``loss_giou``,
            ``loss_mask``, ``loss_dice`` and the same with ``d<layer>.`` in
            front; ``class_error``, 0 to 100, which is no loss: the share of
            objects whose query says another class in the last layer.
        """
        layers, box_count = len(logits), normaliser
        if box_matches is not None:
            box_count = reduce_mean(
                torch.bincount(box_matches.layer, minlength=layers).to(
                    boxes)).clamp(min=1)
        bbox, giou = self.boxes(boxes, truth, box_matches or matches)
        mask, dice = self.masks(mask_logits, truth.masks, matches, layers)
        classes = self.classes(logits, truth.labels, matches)
        return {
            **self.weighted(dict(loss_cls=classes), normaliser),
            **self.weighted(dict(loss_bbox=bbox, loss_giou=giou), box_count),
            **self.weighted(dict(loss_mask=mask, loss_dice=dice), normaliser),
            'class_error': _class_error(logits, truth.labels, matches)
        }


def _class_error(logits: Tensor, labels: Tensor,
                 matches: Matches) -> Tensor:
    """Percentage of the last layer's pairs with another best class."""
    last = matches.layer == len(logits) - 1
    _, clip, query, gt = (index[last] for index in matches.pairs)
    wrong = logits[-1, clip, query].argmax(-1) != labels[clip, gt]
    return 100 * wrong.float().sum() / max(len(wrong), 1)
