"""Losses of one frame's queries in all decoder layers at once."""
from typing import NamedTuple

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from torch import Tensor, nn

from .focal_dice import focal_and_dice, sigmoid_focal


class Rows(NamedTuple):
    """P pairs of an object and its query.

    Attributes:
        layer, clip, number, query: (P,) int64 each; ``number`` is the object
            of the clip.
    """
    layer: Tensor
    clip: Tensor
    number: Tensor
    query: Tensor

    @classmethod
    def of(cls, rows: np.ndarray, device: torch.device) -> 'Rows':
        """From int64 (4, P) on the host."""
        return cls(*torch.from_numpy(rows).to(device))


@MODELS.register_module()
class QueryFrameLoss(nn.Module):
    """Class, box and mask losses as in Deformable DETR with masks.

    Args:
        cls_weight (float): Of the sigmoid focal loss. Defaults to 2.
        box_weight (float): Of the L1 distance. Defaults to 5.
        giou_weight (float): Defaults to 2.
        mask_weight (float): Of the focal loss of the pixels. Defaults to 2.
        dice_weight (float): Defaults to 5.
        alpha, gamma (float): Of both focal losses. Default to 0.25 and 2.
    """

    def __init__(self,
                 cls_weight: float = 2.,
                 box_weight: float = 5.,
                 giou_weight: float = 2.,
                 mask_weight: float = 2.,
                 dice_weight: float = 5.,
                 alpha: float = 0.25,
                 gamma: float = 2.) -> None:
        super().__init__()
        self.weights = dict(cls=cls_weight, bbox=box_weight,
                            giou=giou_weight, mask=mask_weight,
                            dice=dice_weight)
        self.alpha = alpha
        self.gamma = gamma

    def classes(self, logits: Tensor, labels: Tensor, rows: Rows) -> Tensor:
        """Focal loss of every query, summed in each layer.

        Args:
            logits (Tensor): Shape (L, B, Q, K).
            labels (Tensor): Shape (B, G) int64, channels of the objects.
            rows (Rows): Queries that stand for an object in this frame.

        Returns:
            Tensor: Shape (L,).
        """
        target = torch.zeros_like(logits, dtype=torch.float32)
        target[rows.layer, rows.clip, rows.query,
               labels[rows.clip, rows.number]] = 1.
        return sigmoid_focal(logits, target, self.alpha,
                             self.gamma).flatten(1).sum(1)

    def boxes(self, boxes: Tensor, target: Tensor,
              rows: Rows) -> tuple[Tensor, Tensor]:
        """L1 and GIoU losses, summed in each layer.

        Args:
            boxes (Tensor): Shape (L, B, Q, 4), cx, cy, w, h as fractions.
            target (Tensor): Shape (B, G, 4).
            rows (Rows): Pairs whose box is known.

        Returns:
            tuple[Tensor, Tensor]: Shape (L,) each.
        """
        own = boxes[rows.layer, rows.clip, rows.query]
        wanted = target[rows.clip, rows.number]
        distance = (own - wanted).abs().sum(-1)
        giou = 1 - bbox_overlaps(
            bbox_cxcywh_to_xyxy(own), bbox_cxcywh_to_xyxy(wanted),
            mode='giou', is_aligned=True)
        # mmdet's overlap of no boxes has no graph.
        giou = giou + 0 * distance
        layers = len(boxes)
        return (self._by_layer(distance, rows, layers),
                self._by_layer(giou, rows, layers))

    def masks(self, logits: Tensor, target: Tensor, rows: Rows,
              num_layers: int) -> tuple[Tensor, Tensor]:
        """Focal and dice losses of masks, summed in each layer.

        Args:
            logits (Tensor): Shape (P, h, w), of the rows.
            target (Tensor): Shape (B, G, h, w) bool.
            rows (Rows): P pairs.
            num_layers (int): L.

        Returns:
            tuple[Tensor, Tensor]: Shape (L,) each.
        """
        focal, dice = focal_and_dice(
            logits, target[rows.clip, rows.number], self.alpha, self.gamma)
        return (self._by_layer(focal, rows, num_layers),
                self._by_layer(dice, rows, num_layers))

    @staticmethod
    def _by_layer(values: Tensor, rows: Rows, num_layers: int) -> Tensor:
        return values.new_zeros(num_layers).index_add(0, rows.layer, values)
