"""Losses of queries that go from frame to frame."""
from mmdet.registry import MODELS

from .query_loss import QueryLoss


@MODELS.register_module()
class QueryFrameLoss(QueryLoss):
    """Losses of one frame of B clips (InstanceFormer); see the base.

    The host says which pairs count in a frame, and divides the sums of a
    clip's frames.
    """

    giou_eps = 1e-6
