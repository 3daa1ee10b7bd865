"""Parts of the released MemCNP code that only a mistake of it explains.

They exist to check that everything around them gives the released numbers;
the product's own parts do what the paper describes.
"""
from typing import List

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from mmvis_memcnp.models.matching import PointAssigner, PointBatch
from mmvis_memcnp.models.matching.points.geometry import (
    PointTargets,
    as_batch,
    edge_distances,
    inside_boxes,
    nearest_centre,
)
from mmvis_memcnp.models.memcnp.distribution import log_prob
from mmvis_memcnp.models.memcnp.losses import Support


@TASK_UTILS.register_module()
class OfficialBoxTarget:
    """Memory targets with the released sign error.

    Boxes that do not contain a point get an area of minus infinity before the
    minimum, so the first box that does *not* contain the point is taken, and
    the smallest only if all contain it. Every point is written.
    """

    @torch.no_grad()
    def __call__(self, points: Tensor, boxes: Tensor,
                 valid: Tensor) -> PointTargets:
        """Same interface as ``SmallestBoxTarget``."""
        points, boxes, valid = as_batch(points, boxes, valid)
        areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1)[:, None]
        areas = torch.where(
            inside_boxes(points, boxes), areas, -torch.inf)
        areas = areas.masked_fill(~valid[:, None], torch.inf)
        own = areas.argmin(-1)
        any_box = valid.any(-1, keepdim=True)
        own = own.masked_fill(~any_box, -1)
        return PointTargets(own, edge_distances(points, boxes, own),
                            any_box.expand_as(own))


@TASK_UTILS.register_module()
class CentreRadiusAssigner(PointAssigner):
    """Points near the nearest centre that lie in any box.

    The default selections of the released MemCNP code: its mode 'none' is a
    radius of 3 strides, its mode 'objbox' one of a fraction of a pixel.

    Args:
        radius (float): Largest distance to the centre, exclusive. Defaults
            to 3.
        unit (str): 'stride' or 'pixel'. Defaults to 'stride'.
    """

    def __init__(self, radius: float = 3., unit: str = 'stride') -> None:
        if unit not in ('stride', 'pixel'):
            raise ValueError(
                f"unit must be 'stride' or 'pixel', got {unit!r}.")
        self.radius = radius
        self.unit = unit

    def select(self, batch: PointBatch) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`PointAssigner`."""
        own = nearest_centre(batch.points, batch.boxes, batch.valid)
        centres = ((batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2).gather(
            1,
            own.clamp(min=0)[..., None].expand(-1, -1, 2))
        distance = (batch.points - centres).norm(dim=-1)
        if self.unit == 'stride':
            distance = distance / batch.strides
        pos = (distance < self.radius) & (batch.smallest >= 0)
        return pos, ~pos, own


@MODELS.register_module()
class OfficialContrastiveTrackingLoss(nn.Module):
    """The released tracking loss.

    Negatives are the most similar key-key and key-ref pairs of each key
    vector, true pairs among them; positives are not in the denominator.

    Args:
        temperature (float): Divides the cosine.
        topk (int): Hardest pairs of each kind and row.
        num_images (int): Images of the batch; the loss is divided by it.
    """

    def __init__(self,
                 temperature: float = 0.1,
                 topk: int = 5,
                 num_images: int = 1) -> None:
        super().__init__()
        self.temperature = temperature
        self.topk = topk
        self.num_images = num_images

    def forward(self, key_embeds: Tensor, key_ids: Tensor, ref_embeds: Tensor,
                ref_ids: Tensor) -> Tensor:
        """One vector a ground truth in each frame; see the product's loss."""
        keys = F.normalize(key_embeds, dim=1)
        refs = F.normalize(ref_embeds, dim=1)
        between = keys @ refs.t() / self.temperature
        within = keys @ keys.t() / self.temperature
        off_diagonal = ~torch.eye(len(keys), dtype=torch.bool)
        within = within[off_diagonal.to(within.device)].view(
            len(keys), len(keys) - 1)
        positives = between[key_ids[:, None] == ref_ids]
        hardest = [
            pairs.topk(min(self.topk, pairs.size(1)),
                       dim=1)[0].flatten() for pairs in (within, between)
        ]
        return (torch.cat(hardest).logsumexp(0) -
                positives.logsumexp(0)) / self.num_images


@MODELS.register_module()
class OfficialFocalLoss(nn.Module):
    """Focal loss that is zero in an image without a single positive.

    Args:
        images: images of the batch.
        num_classes: label of the background.
        kwargs: of the focal loss.
    """

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


def official_energy_score(support: Support, draws: List[Tensor]) -> Tensor:
    """The released energy score: of the mean draw, in mean absolute values.

    Args:
        support (Support): The supporting samples.
        draws (list[Tensor]): For each ground truth that has samples, in
            ascending order, their draws (M, I, 4); they pass no gradient.

    Returns:
        Tensor: Shape (G,), zero without samples.
    """
    scores = support.gt_boxes.new_zeros(len(support.gt_boxes))
    supported = support.gt_index.unique().tolist()
    for g, draw in zip(supported, draws, strict=True):
        mean = draw.mean(1)
        scores[g] = ((mean - support.gt_boxes[g]).abs().mean() - 0.5 *
                     (mean[:-1] - mean[1:]).abs().mean())
    return scores


def official_ratio_rule(support: Support, mu: Tensor, sigma: Tensor,
                        positive: Tensor) -> Tensor:
    """The unused rule 'contrast': a ratio of summed log-probabilities.

    Divided by the number of pairs once more with every further ground truth.

    Args:
        support (Support): The supporting samples.
        mu, sigma (Tensor): Shape (N, 4), of all points of the image.
        positive (Tensor): Shape (N,) bool, the points that support any box.

    Returns:
        Tensor: Scalar.
    """
    loss = mu.new_zeros(())
    for g, box in enumerate(support.gt_boxes):
        own = support.gt_index == g
        mine = log_prob(box, support.mu[own], support.sigma[own]).sum()
        every = log_prob(box, mu[positive], sigma[positive]).sum()
        loss = (loss - mine / (every + 1e-9)) / len(support.gt_index)
    return loss
