"""Which query is responsible for which object of a clip."""
import numpy as np
import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..truth.clip_truth import ClipTruth
from .focal_cost import focal_cost

_RULES = ('appearance', 'first_frame')


class ClipAssignment:
    """Queries of the objects of B clips in L decoder layers, as known so far.

    Attributes:
        query: int (L, B, G) query of each object, -1 where it has none.
        present: bool (B, G, T), as in the truth.
        valid: bool (B, G), as in the truth.
    """

    def __init__(self, truth: ClipTruth, num_layers: int) -> None:
        # Assignments are made on the host; these cross over once.
        self.present = truth.present.cpu().numpy()
        self.valid = truth.valid.cpu().numpy()
        self.query = np.full((num_layers, *self.valid.shape), -1)

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """Assigned objects among those wanted, a layer after the other.

        Args:
            wanted: bool (B, G).

        Returns:
            int64 (4, P): layer, clip, query and object.
        """
        layer, clip, number = np.nonzero((self.query >= 0) & wanted)
        return np.stack([layer, clip, self.query[layer, clip, number],
                         number])

    def objects_of_queries(self, num_queries: int) -> np.ndarray:
        """Object of each query in the last layer, int64 (B, Q), -1: none."""
        table = np.full((self.valid.shape[0], num_queries), -1)
        clip, number = np.nonzero(self.query[-1] >= 0)
        table[clip, self.query[-1][clip, number]] = number
        return table


@TASK_UTILS.register_module()
class ClipQueryMatcher:
    """Hungarian matching that lasts for the clip (InstanceFormer, 3.2, 3.4).

    An object keeps its query; only objects that are new are matched, with
    the queries that are free.

    Args:
        rule (str): 'appearance' matches an object in the frame in which it is
            first seen, as the paper says. 'first_frame' matches all objects
            of the clip in its first frame, those that come later too, with a
            box of next to no size, as the released code does. Defaults to
            'appearance'.
        cls_weight (float): Of the focal class cost. Defaults to 1.
        box_weight (float): Of the distance of the boxes. Defaults to 5.
        giou_weight (float): Defaults to 2.
        box_norm (int): 1, the L1 distance of DETR, or 2, the Euclidean one
            of the released code. Defaults to 1.
        alpha, gamma (float): Of the focal cost. Default to 0.25 and 2.
    """

    def __init__(self,
                 rule: str = 'appearance',
                 cls_weight: float = 1.,
                 box_weight: float = 5.,
                 giou_weight: float = 2.,
                 box_norm: int = 1,
                 alpha: float = 0.25,
                 gamma: float = 2.) -> None:
        if rule not in _RULES:
            raise ValueError(
                f'rule of the matcher must be one of {_RULES}, got {rule!r}.')
        self.rule = rule
        self.cls_weight = cls_weight
        self.box_weight = box_weight
        self.giou_weight = giou_weight
        self.box_norm = box_norm
        self.alpha = alpha
        self.gamma = gamma

    def wanted(self, assignment: ClipAssignment, frame: int) -> np.ndarray:
        """Objects that a frame teaches, bool (B, G)."""
        if self.rule == 'first_frame':
            return assignment.valid
        return assignment.present[:, :, frame]

    @torch.no_grad()
    def update(self, assignment: ClipAssignment, frame: int, logits: Tensor,
               boxes: Tensor, target_boxes: Tensor, labels: Tensor) -> None:
        """Match the objects that are new in a frame.

        Args:
            assignment (ClipAssignment): Changed in place.
            frame (int): Position in the clip.
            logits (Tensor): Shape (L, B, Q, K).
            boxes (Tensor): Shape (L, B, Q, 4), cx, cy, w, h as fractions.
            target_boxes (Tensor): Shape (B, G, 4), of this frame.
            labels (Tensor): Shape (B, G) int64.
        """
        new = self.wanted(assignment, frame) & (assignment.query < 0)
        if not new.any():
            return
        cost = self.cost(logits, boxes, target_boxes, labels).cpu().numpy()
        clips = np.argwhere(new.any(-1))
        for layer, clip in clips:  # few; no loop over objects or queries
            taken = assignment.query[layer, clip]
            free = np.setdiff1d(np.arange(cost.shape[2]), taken)
            fresh = np.nonzero(new[layer, clip])[0]
            row, column = linear_sum_assignment(
                cost[layer, clip][np.ix_(free, fresh)])
            taken[fresh[column]] = free[row]

    def cost(self, logits: Tensor, boxes: Tensor, target_boxes: Tensor,
             labels: Tensor) -> Tensor:
        """Cost of each pair; see :meth:`update`.

        Returns:
            Tensor: Shape (L, B, Q, G) float32.
        """
        layers = len(logits)
        classes = focal_cost(logits.float().sigmoid(), labels[None],
                             self.alpha, self.gamma)
        target = target_boxes[None].expand(layers, -1, -1, -1)
        distance = torch.cdist(boxes.float(), target, p=self.box_norm)
        giou = bbox_overlaps(
            bbox_cxcywh_to_xyxy(boxes.float()), bbox_cxcywh_to_xyxy(target),
            mode='giou')
        cost = (self.cls_weight * classes + self.box_weight * distance -
                self.giou_weight * giou)
        return cost.nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6)
