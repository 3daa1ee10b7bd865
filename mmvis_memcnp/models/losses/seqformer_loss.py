"""Losses of SeqFormer on clips, of all decoder layers at once."""
import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from torch import Tensor

from ..layers.boxes import aligned_giou
from ..matching import ClipMatches
from ..truth.clip_truth import ClipTruth
from .query_loss import QueryLoss
from .query_pairs import QueryPairs


@MODELS.register_module()
class SeqFormerLoss(QueryLoss):
    """Class, box and mask losses of queries and the objects they got.

    A frame in which an object is absent takes part: its box is to become
    zeros and its mask empty. Dice loss has one value a mask tube. More pairs
    than those of the matching may train the boxes; the box losses are their
    means then.
    """

    def forward(self, logits: Tensor, boxes: Tensor, mask_logits: Tensor,
                matches: ClipMatches, truth: ClipTruth,
                normaliser: Tensor,
                box_pairs: ClipMatches | None = None) -> dict[str, Tensor]:
        """Weighted losses; those of the last layer have plain names.

        Args:
            logits (Tensor): Shape (L, B, Q, K) of L layers and B clips.
            boxes (Tensor): Shape (L, B, Q, T, 4), cx, cy, w, h.
            mask_logits (Tensor): Shape (L * M, T, h, w) of the pairs.
            matches (ClipMatches): L * M pairs, M in every layer; ``clip``
                counts through layers and clips.
            truth (ClipTruth): Objects of the B clips.
            normaliser (Tensor): Number of objects that a loss is divided by.
            box_pairs (ClipMatches, optional): Pairs that train the boxes, any
                number in a layer; its mean over the ranks divides their
                losses. Defaults to ``matches``, as all other losses.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox``, ``loss_giou``,
            ``loss_mask``, ``loss_dice`` and the same with ``d<layer>.`` in
            front; ``class_error``, 0 to 100, which is no loss: the share of
            objects whose query says another class in the last layer.
        """
        layers, batch = logits.shape[:2]
        pairs = _by_layer(matches, batch)
        for_boxes, box_count = pairs, normaliser
        if box_pairs is not None:
            for_boxes = _by_layer(box_pairs, batch)
            box_count = reduce_mean(
                torch.bincount(for_boxes.layer, minlength=layers).to(
                    boxes)).clamp(min=1)
        bbox, giou = self.boxes(boxes, truth.boxes, for_boxes)
        mask, dice = self.masks(mask_logits, truth.masks, pairs, layers)
        classes = self.classes(logits, truth.labels, pairs)
        return {
            **self.weighted(dict(loss_cls=classes), normaliser),
            **self.weighted(dict(loss_bbox=bbox, loss_giou=giou), box_count),
            **self.weighted(dict(loss_mask=mask, loss_dice=dice), normaliser),
            'class_error': _class_error(logits, truth.labels, pairs)
        }

    def compare_boxes(self, boxes: Tensor,
                      target: Tensor) -> tuple[Tensor, Tensor]:
        """Means over the frames, (P,) each, of boxes (P, T, 4)."""
        distance = (boxes - target).abs().mean(1).sum(-1)
        giou = 1 - aligned_giou(
            bbox_cxcywh_to_xyxy(boxes), bbox_cxcywh_to_xyxy(target)).mean(1)
        return distance, giou


def _by_layer(matches: ClipMatches, batch: int) -> QueryPairs:
    """Pairs whose ``clip`` counts through layers and clips."""
    return QueryPairs(matches.clip // batch, matches.clip % batch,
                      matches.query, matches.gt)


def _class_error(logits: Tensor, labels: Tensor, pairs: QueryPairs) -> Tensor:
    """Percentage of the last layer's pairs with another best class."""
    last = pairs.layer == len(logits) - 1
    _, clip, query, gt = (index[last] for index in pairs)
    wrong = logits[-1, clip, query].argmax(-1) != labels[clip, gt]
    return 100 * wrong.float().sum() / max(len(wrong), 1)
