"""Class, box and mask losses of the queries of a decoder."""
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor, nn

from ..layers.boxes import aligned_giou
from ..layers.segments import segment_sum
from ..truth.clip_truth import ClipTruth
from ..truth.ground_truth import GroundTruth
from ..truth.matches import Matches
from .by_layer import name_by_layer
from .focal_dice import focal_and_dice, focal_classes


@MODELS.register_module()
class QueryLoss(nn.Module):
    """Five weights, and the sums of the losses in every decoder layer.

    The losses are those of Deformable DETR and, of the masks, focal and dice
    loss; the default weights are those of IDOL, SeqFormer and InstanceFormer
    alike, as released. What the sums are divided by is up to the host
    (InstanceFormer) or to a subclass.

    Args:
        cls_weight (float): Of the focal loss of the classes. Defaults to 2.
        bbox_weight (float): Of the L1 loss of the boxes. Defaults to 5.
        giou_weight (float): Of the GIoU loss of the boxes. Defaults to 2.
        mask_weight (float): Of the focal loss of the masks. Defaults to 2.
        dice_weight (float): Of the dice loss of the masks. Defaults to 5.
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

    def classes(self, logits: Tensor, labels: Tensor,
                matches: Matches) -> Tensor:
        """Focal loss of every query, summed in each layer.

        Args:
            logits (Tensor): Shape (L, B, Q, K).
            labels (Tensor): Shape (B, G) int64, channels of the objects.
            matches (Matches): Queries that stand for an object; the
                class of ignored ones is not learnt.

        Returns:
            Tensor: Shape (L,).
        """
        return focal_classes(logits, labels, matches, self.alpha, self.gamma)

    def boxes(self, boxes: Tensor, truth: GroundTruth | ClipTruth,
              matches: Matches) -> tuple[Tensor, Tensor]:
        """L1 and GIoU losses, summed in each layer.

        Args:
            boxes (Tensor): Shape (L, B, Q, [T,] 4), cx, cy, w, h as
                fractions.
            truth (GroundTruth | ClipTruth): Of the B frames or clips.
            matches (Matches): Pairs whose box is known.

        Returns:
            tuple[Tensor, Tensor]: Shape (L,) each; of a clip's pair, the
            means over its frames count.
        """
        own = boxes[matches.layer, matches.frame, matches.query].float()
        rows = matches.frame, matches.gt
        distance = (own - truth.cxcywh[rows]).abs().sum(-1)
        giou = 1 - aligned_giou(bbox_cxcywh_to_xyxy(own), truth.xyxy[rows])
        if own.dim() > 2:
            distance, giou = distance.mean(1), giou.mean(1)
        return (segment_sum(distance, matches.layer, len(boxes)),
                segment_sum(giou, matches.layer, len(boxes)))

    def masks(self, logits: Tensor, target: Tensor, matches: Matches,
              num_layers: int) -> tuple[Tensor, Tensor]:
        """Focal and dice losses of masks, summed in each layer.

        Args:
            logits (Tensor): Shape (P, ..., h, w), of the pairs.
            target (Tensor): Shape (B, G, ..., h, w) bool.
            matches (Matches): P pairs.
            num_layers (int): L.

        Returns:
            tuple[Tensor, Tensor]: Shape (L,) each.
        """
        focal, dice = focal_and_dice(
            logits, target[matches.frame, matches.gt], self.alpha, self.gamma)
        return (segment_sum(focal, matches.layer, num_layers),
                segment_sum(dice, matches.layer, num_layers))

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
