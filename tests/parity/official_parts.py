"""Parts of the released MemCNP code that only its mistakes explain.

Registered so that a fixture can be reproduced through the product's own
classes; the product itself never uses them.
"""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from mmvis_memcnp.models.task_modules.point_geometry import (PointTargets,
                                                             edge_distances,
                                                             inside_boxes)


@TASK_UTILS.register_module()
class OfficialMemoryTarget:
    """Memory target with the released sign error.

    Boxes that do not contain the point get an area of minus infinity before
    the minimum, so the first of them wins; every point is written.
    """

    def __call__(self, points: Tensor, boxes: Tensor,
                 valid: Tensor) -> PointTargets:
        """See :class:`SmallestBoxTarget`."""
        contains = inside_boxes(points[None], boxes)
        areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1)[:, None]
        areas = torch.where(contains, areas, -torch.inf)
        areas = areas.masked_fill(~valid[:, None], torch.inf)
        own = areas.argmin(-1)
        written = valid.any(-1, keepdim=True).expand_as(own)
        return PointTargets(own, edge_distances(points[None], boxes, own),
                            written)


@MODELS.register_module()
class OfficialContrast(nn.Module):
    """Contrast as released: hard negatives, positives not held apart.

    Key-key and key-reference pairs of the whole batch give the hardest few
    negatives of each row, the positives among them; nothing else enters the
    denominator. The head's key vectors are those of the ground truths. The
    scalar of the batch is divided by the number of images.
    """

    def __init__(self,
                 temperature: float = 0.1,
                 topk: int = 5,
                 images: int = 1) -> None:
        super().__init__()
        self.temperature = temperature
        self.topk = topk
        self.images = images

    def forward(self, key_embeds: Tensor, key_ids: Tensor, ref_embeds: Tensor,
                ref_ids: Tensor) -> Tensor:
        """See :class:`ContrastiveTrackingLoss`."""
        same = key_ids[:, None] == ref_ids[None]
        key = F.normalize(key_embeds, dim=1)
        ref = F.normalize(ref_embeds, dim=1)
        if not same.any():
            return key_embeds.sum() * 0
        intra = key @ key.t() / self.temperature
        inter = key @ ref.t() / self.temperature
        off = ~torch.eye(len(key), dtype=torch.bool)
        negatives = torch.cat([
            x.topk(min(self.topk, x.shape[1]), dim=1)[0].flatten()
            for x in (intra[off].view(len(key), -1), inter)
        ])
        return (negatives.logsumexp(0) -
                inter[same].logsumexp(0)) / self.images


@MODELS.register_module()
class OfficialFocalLoss(nn.Module):
    """Focal loss that is zero in an image without a single positive."""

    def __init__(self, images: int, num_classes: int, **kwargs) -> None:
        super().__init__()
        self.images = images
        self.num_classes = num_classes
        self.inner = MODELS.build(dict(type='FocalLoss', **kwargs))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Per-point losses, as the wrapped loss gives them."""
        has = (target.view(self.images, -1) < self.num_classes).any(1)
        loss = self.inner(logits, target)
        return (loss.view(self.images, -1, loss.shape[-1]) *
                has[:, None, None]).view_as(loss)
