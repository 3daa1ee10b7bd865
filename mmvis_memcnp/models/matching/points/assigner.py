"""Base of the assigners that select points for training."""
from abc import abstractmethod
from typing import NamedTuple

import torch
from mmdet.models.task_modules.assigners import AssignResult, BaseAssigner
from mmengine.structures import InstanceData
from torch import Tensor

from ...layers import centreness
from ...truth.matches import Matches
from .geometry import (
    as_batch,
    edge_distances,
    inside_boxes,
    smallest_of,
)


class PointBatch(NamedTuple):
    """Points and boxes of a batch, as the selection rules see them."""
    points: Tensor  # (B or 1, N, 2) pixels
    strides: Tensor  # (B or 1, N) pixels
    levels: Tensor  # (N,) int64
    boxes: Tensor  # (B, G, 4) xyxy pixels
    valid: Tensor  # (B, G) bool
    contains: Tensor  # (B, N, G) bool, the point lies in that valid box,
    # edges included
    smallest: Tensor  # (B, N) int64, smallest containing box, -1 outside all
    sigmas: Tensor | None  # (B, N, 4)
    centreness: Tensor | None  # (B, N), given by the host


class PointAssigner(BaseAssigner):
    """Selects positives and negatives among points, batched over images.

    A subclass implements :meth:`select`. :meth:`match` is the core on padded
    batches; :meth:`assign` is mmdet's interface for one image.
    """

    @torch.no_grad()
    def match(self,
              priors: Tensor,
              levels: Tensor,
              boxes: Tensor,
              valid: Tensor,
              sigmas: Tensor | None = None,
              centreness_map: Tensor | None = None) -> Matches:
        """Select the points of a batch.

        Args:
            priors (Tensor): Shape (N, 4), or (B, N, 4) if each image has its
                own: x, y and the horizontal and vertical stride in pixels, as
                mmdet's ``MlvlPointGenerator`` gives them ``with_stride``.
            levels (Tensor): Shape (N,) int64, pyramid level of each point.
            boxes (Tensor): Shape (B, G, 4), xyxy pixels, padded; G may be 0.
            valid (Tensor): Shape (B, G) bool, False for padding.
            sigmas (Tensor, optional): Shape (B, N, 4), standard deviations
                of the box edges, for rules that use them.
            centreness_map (Tensor, optional): Shape (B, N), centreness to use
                in place of that of the point in its box.

        Returns:
            Matches: Of B x N points. ``centreness`` of a positive is that
            in its ground truth, else that in the smallest box that contains
            the point, 0 outside all boxes.
        """
        points, boxes, valid = as_batch(priors[..., :2], boxes, valid)
        strides = priors[..., 2].reshape(len(points), -1)
        contains = inside_boxes(points, boxes, True) & valid[:, None]
        batch = PointBatch(points, strides, levels, boxes, valid, contains,
                           smallest_of(contains, boxes), sigmas,
                           centreness_map)
        pos, neg, own = self.select(batch)
        gt_index = own.masked_fill(~pos, -1)
        if centreness_map is None:
            box = torch.where(pos, gt_index, batch.smallest)
            centreness_map = centreness(edge_distances(points, boxes, box))
        return Matches(gt_index, ignored=~(pos | neg),
                       centreness=centreness_map)

    @abstractmethod
    def select(self, batch: PointBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Positives (B, N), negatives (B, N), ground truth of each (B, N)."""

    def assign(self,
               pred_instances: InstanceData,
               gt_instances: InstanceData,
               gt_instances_ignore: InstanceData | None = None,
               **kwargs) -> AssignResult:
        """Assign the points of one image.

        Args:
            pred_instances (InstanceData): ``priors`` (N, 4) as in
                :meth:`match`; optionally ``levels`` (N,), else points
                of one stride are one level; ``sigmas`` (N, 4) for rules that
                use them.
            gt_instances (InstanceData): ``bboxes`` (G, 4) xyxy pixels (tensor
                or box structure), ``labels`` (G,).
            gt_instances_ignore: Not used.

        Returns:
            AssignResult: ``gt_inds`` 1-based, 0 for negatives, -1 for
            ignored points; ``max_overlaps`` holds the centreness, ``labels``
            is -1 for all but positives.
        """
        priors, boxes = pred_instances.priors, gt_instances.bboxes
        boxes = getattr(boxes, 'tensor', boxes)
        if 'levels' in pred_instances:
            levels = pred_instances.levels
        else:
            levels = priors[:, 2].unique(return_inverse=True)[1]
        sigmas = pred_instances.get('sigmas', None)
        result = self.match(
            priors, levels, boxes[None],
            torch.ones_like(boxes[None, :, 0], dtype=torch.bool),
            None if sigmas is None else sigmas[None])
        assert result.centreness is not None
        pos, gt_index = result.pos[0], result.gt_index[0]
        gt_inds = torch.where(pos, gt_index + 1, -1)
        gt_inds = gt_inds.masked_fill(result.neg[0], 0)
        labels = torch.full_like(gt_inds, -1)
        labels[pos] = gt_instances.labels[gt_index[pos]]
        return AssignResult(len(boxes), gt_inds, result.centreness[0], labels)
