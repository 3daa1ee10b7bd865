"""Losses of SeqFormer on clips, of all decoder layers at once."""
import torch
import torch.nn.functional as F
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from ....structures.clip_truth import ClipTruth
from ...layers.boxes import aligned_giou
from ...task_modules.clip_hungarian_assigner import ClipMatches


@MODELS.register_module()
class SeqFormerLoss(nn.Module):
    """Class, box and mask losses of queries and the objects they got.

    A frame in which an object is absent takes part: its box is to become
    zeros and its mask empty. More pairs than those of the matching may train
    the boxes; the box losses are their means then.

    Args:
        cls_weight (float): Of the focal loss of the classes. Defaults to 2.
        bbox_weight (float): Of the L1 loss of the boxes. Defaults to 5.
        iou_weight (float): Of the GIoU loss. Defaults to 2.
        mask_weight (float): Of the focal loss of the masks. Defaults to 2.
        dice_weight (float): Of the dice loss, one value a mask tube.
            Defaults to 5.
        alpha (float): Of both focal losses. Defaults to 0.25.
        gamma (float): Of both focal losses. Defaults to 2.
    """

    def __init__(self,
                 cls_weight: float = 2.,
                 bbox_weight: float = 5.,
                 iou_weight: float = 2.,
                 mask_weight: float = 2.,
                 dice_weight: float = 5.,
                 alpha: float = .25,
                 gamma: float = 2.) -> None:
        super().__init__()
        self.weights = dict(
            loss_cls=cls_weight,
            loss_bbox=bbox_weight,
            loss_iou=iou_weight,
            loss_mask=mask_weight,
            loss_dice=dice_weight)
        self.focal = dict(alpha=alpha, gamma=gamma, reduction='none')

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
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox``, ``loss_iou``,
            ``loss_mask``, ``loss_dice`` and the same with ``d<layer>.`` in
            front; ``class_error``, 0 to 100, which is no loss: the share of
            objects whose query says another class in the last layer.
        """
        layers, batch = logits.shape[:2]
        logits, boxes = logits.float().flatten(0, 1), boxes.flatten(0, 1)
        clip, query, gt = matches
        labels = truth.labels[clip % batch, gt]
        target = torch.zeros_like(logits)
        target[clip, query, labels] = 1.
        named = dict(
            loss_cls=py_sigmoid_focal_loss(logits, target, **self.focal),
            **self._boxes(boxes, box_pairs or matches, truth),
            **self._masks(mask_logits, truth.masks[clip % batch, gt]))
        out = {}
        for name, value in named.items():
            if box_pairs is not None and name in ('loss_bbox', 'loss_iou'):
                values = self.weights[name] * _layer_means(
                    value, box_pairs.clip // batch, layers)
            else:
                values = self.weights[name] * value.unflatten(
                    0, (layers, len(value) // layers)).flatten(1).sum(
                        1) / normaliser
            out.update({f'd{i}.{name}': v for i, v in enumerate(values[:-1])})
            out[name] = values[-1]
        last = clip >= (layers - 1) * batch
        wrong = logits[clip[last], query[last]].argmax(-1) != labels[last]
        out['class_error'] = 100 * wrong.float().sum() / max(len(wrong), 1)
        return out

    def _boxes(self, boxes: Tensor, pairs: ClipMatches,
               truth: ClipTruth) -> dict[str, Tensor]:
        """Losses of N pairs, means over the frames: (N, ...)."""
        clip, query, gt = pairs
        own, target = boxes[clip, query], truth.boxes[clip % len(truth.boxes),
                                                      gt]
        return dict(
            loss_bbox=F.l1_loss(own, target, reduction='none').mean(1),
            loss_iou=1 - aligned_giou(
                bbox_cxcywh_to_xyxy(own),
                bbox_cxcywh_to_xyxy(target)).mean(1))

    def _masks(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Losses of tubes (N, T, h, w): (N,)."""
        logits, tube = logits.float().flatten(1), target.float().flatten(1)
        p = logits.sigmoid()
        return dict(
            loss_mask=py_sigmoid_focal_loss(logits, tube,
                                            **self.focal).mean(1),
            loss_dice=1 - (2 * (p * tube).sum(1) + 1) /
            (p.sum(1) + tube.sum(1) + 1))


def _layer_means(value: Tensor, layer: Tensor, layers: int) -> Tensor:
    """Sums (L,) of values (N, ...), divided by their number in a layer."""
    if value.dim() > 1:
        value = value.flatten(1).sum(1)
    total = value.new_zeros(layers).index_add(0, layer, value)
    count = torch.bincount(layer, minlength=layers).to(total)
    return total / reduce_mean(count).clamp(min=1)
