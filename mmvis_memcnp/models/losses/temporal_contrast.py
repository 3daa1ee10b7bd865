"""Supervised contrast of an object's queries over time (eq 5)."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class TemporalContrastiveLoss(nn.Module):
    """Pulls the queries of an object in different frames together.

    Everything else in the clip pushes: other objects and background. The
    background is no class of its own; in the released code all its tokens
    are positives of one another.

    Args:
        temperature (float): Divides the cosine. Defaults to 0.07.
        loss_weight (float): Defaults to 2.
    """

    def __init__(self,
                 temperature: float = 0.07,
                 loss_weight: float = 2.) -> None:
        super().__init__()
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, features: Tensor, objects: Tensor) -> Tensor:
        """The loss.

        Args:
            features (Tensor): Shape (B, M, C), of all frames of B clips.
            objects (Tensor): Shape (B, M) int64, object within its clip, -1
                for background.

        Returns:
            Tensor: Scalar, mean over the features that have a positive; 0 if
            none has.
        """
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(features.float(), dim=-1)
            cosine = unit @ unit.transpose(1, 2) / self.temperature
            itself = torch.eye(
                objects.shape[1], dtype=torch.bool, device=objects.device)
            log_share = cosine.masked_fill(itself, -1e9).log_softmax(-1)
            positive = ((objects[:, :, None] == objects[:, None]) &
                        (objects >= 0)[:, None] & ~itself)
            count = positive.sum(-1)
            each = -(log_share * positive).sum(-1) / count.clamp(min=1)
            anchors = (count > 0).sum().clamp(min=1)
            return self.loss_weight * each.sum() / anchors
