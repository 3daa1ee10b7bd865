"""What the losses of systems with query decoders share."""
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from torch import Tensor, nn

from .focal_dice import focal_and_dice, sigmoid_focal
from .query_pairs import QueryPairs, name_by_layer, sum_by_layer


class QueryLoss(nn.Module):
    """Weights of five losses, and their sums in every decoder layer.

    The losses are those of Deformable DETR and, of the masks, focal and dice
    loss; the default weights are those of IDOL, SeqFormer and InstanceFormer
    alike, as released.

    Args:
        cls_weight (float): Of the focal loss of the classes. Defaults to 2.
        bbox_weight (float): Of the L1 loss of the boxes. Defaults to 5.
        giou_weight (float): Of the GIoU loss of the boxes. Defaults to 2.
        mask_weight (float): Of the focal loss of the masks. Defaults to 2.
        dice_weight (float): Of the dice loss of the masks. Defaults to 5.
        alpha (float): Of both focal losses. Defaults to 0.25.
        gamma (float): Of both focal losses. Defaults to 2.
    """

    #: Least area by which the IoU of two boxes is divided.
    giou_eps = 1e-7

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

    def classes(self, logits: Tensor, labels: Tensor, pairs: QueryPairs,
                ignored: Tensor | None = None) -> Tensor:
        """Focal loss of every query, summed in each layer.

        Args:
            logits (Tensor): Shape (L, B, Q, K).
            labels (Tensor): Shape (B, G) int64, channels of the objects.
            pairs (QueryPairs): Queries that stand for an object.
            ignored (Tensor, optional): Shape (L, B, Q) bool, queries whose
                class is not learnt.

        Returns:
            Tensor: Shape (L,).
        """
        target = torch.zeros_like(logits, dtype=torch.float32)
        target[pairs.layer, pairs.frame, pairs.query,
               labels[pairs.frame, pairs.gt]] = 1.
        loss = sigmoid_focal(logits, target, self.alpha, self.gamma)
        if ignored is not None:
            loss = loss.masked_fill(ignored[..., None], 0.)
        return loss.flatten(1).sum(1)

    def boxes(self, boxes: Tensor, target: Tensor,
              pairs: QueryPairs) -> tuple[Tensor, Tensor]:
        """L1 and GIoU losses, summed in each layer.

        Args:
            boxes (Tensor): Shape (L, B, Q, ..., 4), cx, cy, w, h as
                fractions.
            target (Tensor): Shape (B, G, ..., 4), the same.
            pairs (QueryPairs): Pairs whose box is known.

        Returns:
            tuple[Tensor, Tensor]: Shape (L,) each.
        """
        own = boxes[pairs.layer, pairs.frame, pairs.query].float()
        distance, giou = self.compare_boxes(
            own, target[pairs.frame, pairs.gt])
        return (sum_by_layer(distance, pairs.layer, len(boxes)),
                sum_by_layer(giou, pairs.layer, len(boxes)))

    def compare_boxes(self, boxes: Tensor,
                      target: Tensor) -> tuple[Tensor, Tensor]:
        """L1 and GIoU loss of each pair.

        Args:
            boxes (Tensor): Shape (P, 4), cx, cy, w, h as fractions.
            target (Tensor): The same.

        Returns:
            tuple[Tensor, Tensor]: Shape (P,) each.
        """
        distance = (boxes - target).abs().sum(-1)
        giou = 1 - bbox_overlaps(
            bbox_cxcywh_to_xyxy(boxes), bbox_cxcywh_to_xyxy(target),
            mode='giou', is_aligned=True, eps=self.giou_eps)
        # mmdet's overlap of no boxes has no graph.
        return distance, giou + 0 * distance

    def masks(self, logits: Tensor, target: Tensor, pairs: QueryPairs,
              num_layers: int) -> tuple[Tensor, Tensor]:
        """Focal and dice losses of masks, summed in each layer.

        Args:
            logits (Tensor): Shape (P, ..., h, w), of the pairs.
            target (Tensor): Shape (B, G, ..., h, w) bool.
            pairs (QueryPairs): P pairs.
            num_layers (int): L.

        Returns:
            tuple[Tensor, Tensor]: Shape (L,) each.
        """
        focal, dice = focal_and_dice(
            logits, target[pairs.frame, pairs.gt], self.alpha, self.gamma)
        return (sum_by_layer(focal, pairs.layer, num_layers),
                sum_by_layer(dice, pairs.layer, num_layers))

    def weighted(self, sums: dict[str, Tensor],
                 divisor: Tensor | float = 1.) -> dict[str, Tensor]:
        """Losses by the names that are logged.

        Args:
            sums (dict[str, Tensor]): Some of the losses, shape (L,) each.
            divisor (Tensor | float): Scalar, or shape (L,). Defaults to 1.

        Returns:
            dict[str, Tensor]: Scalars; see :func:`name_by_layer`.
        """
        named: dict[str, Tensor] = {}
        for name, value in sums.items():
            named.update(
                name_by_layer(name, self.weights[name] * value / divisor))
        return named
