"""Losses of SipMask-VIS."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import aligned_iou
from ..layers.masks import half_resolution
from ..layers.segments import segment_count
from ..truth.ground_truth import GroundTruth


def iou_loss(boxes: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of -log IoU; boxes include their last pixel.

    Args:
        boxes: (P, 4) predictions in pixels.
        targets: (P, 4).
        weight: (P,) centre-ness targets.

    Returns:
        Scalar; 0 without a positive.
    """
    loss = -aligned_iou(boxes, targets, offset=1).clamp(min=1e-6).log()
    return (loss * weight).sum() / weight.sum().clamp(min=1e-6)


class MaskLoss(nn.Module):
    """Cross entropy of masks inside their predicted boxes, by reliability.

    Every positive weighs as much as its class probability times the IoU of
    its box; pixels count by the reciprocal of the box area.

    Args:
        min_area: boxes no larger than this many canvas pixels are left out.
        min_side: boxes whose width or height does not exceed this many
            canvas pixels are left out.
        clamp: clip the boxes to the canvas first.
        weight_eps: added to the sum of the weights.
    """

    def __init__(self,
                 min_area: float = 0.,
                 min_side: float = 0.,
                 clamp: bool = False,
                 weight_eps: float = 1e-4) -> None:
        super().__init__()
        self.min_area = min_area
        self.min_side = min_side
        self.clamp = clamp
        self.weight_eps = weight_eps

    def forward(self, logits_of: Callable[[Tensor, Tensor], Tensor],
                boxes: Tensor, targets: Tensor, probs: Tensor,
                image_index: Tensor, gt_index: Tensor, gt: GroundTruth,
                canvas: tuple[int, int], stride: int) -> Tensor:
        """Mean over the images of the batch.

        Args:
            logits_of: given the indices (K,) of the positives kept and their
                (K, 4) boxes in input pixels, their logits (h, w, K).
            boxes: (P, 4) predictions in input pixels.
            targets: (P, 4) ground-truth boxes in input pixels.
            probs: (P,) probability of the target class.
            image_index: (P,) image of each positive, ascending.
            gt_index: (P,) object of each positive in its image.
            gt: objects with masks.
            canvas: (h, w) of the mask canvas.
            stride: input pixels a canvas pixel.

        Returns:
            Scalar.
        """
        if gt.masks is None:
            raise ValueError('The mask loss needs ground-truth masks: collect '
                             'them with with_masks=True.')
        scaled = boxes.detach().float() / stride
        if self.clamp:
            upper = scaled.new_tensor([canvas[1], canvas[0]] * 2)
            scaled = torch.minimum(scaled.clamp(min=0), upper)
        side = scaled[:, 2:] - scaled[:, :2]
        # As indices: a bool mask would be searched anew at every use.
        keep = ((side.amin(-1) > self.min_side) &
                (side.prod(-1) > self.min_area)).nonzero()[:, 0]
        scaled, side = scaled[keep], side[keep]
        image_index, gt_index = image_index[keep], gt_index[keep]
        weight = probs[keep].float() * aligned_iou(
            scaled, targets[keep] / stride, offset=1)
        sums = weight.new_zeros(len(gt.boxes)).index_add(
            0, image_index, weight)
        weight = weight / (sums + self.weight_eps)[image_index]

        # Objects first, in memory too: what follows is several times as slow
        # on tensors whose axes are in different orders.
        logits = logits_of(keep, scaled * stride).permute(2, 0, 1)
        x1, y1, x2, y2 = scaled[..., None].unbind(1)
        inside = (_between(y1, y2, canvas[0])[:, :, None] &
                  _between(x1, x2, canvas[1])[:, None])
        # Boxes are a small part of the canvas.
        pixels = inside.flatten().nonzero()[:, 0]
        small = half_resolution(gt.masks, canvas)[image_index, gt_index]
        loss = F.binary_cross_entropy_with_logits(
            logits.reshape(-1).gather(0, pixels),
            small.flatten()[pixels].to(logits.dtype), reduction='none')
        share = weight / side.prod(-1)
        owner = pixels.div(canvas[0] * canvas[1], rounding_mode='floor')
        return (loss * share[owner]).sum() / len(gt.boxes)


def _between(low: Tensor, high: Tensor, length: int) -> Tensor:
    """Which of some pixels are inside, as :func:`crop_split_gt` has it.

    Args:
        low (Tensor): Shape (P, 1), first one inside.
        high (Tensor): Shape (P, 1), first one that is outside again.
        length (int): Pixels.

    Returns:
        Tensor: Shape (P, length) bool.
    """
    at = torch.arange(length, dtype=low.dtype, device=low.device)
    return (at >= low) & (at < high)


def match_cross_entropy(vectors: Tensor, ref_vectors: Tensor, ids: Tensor,
                        ref_ids: Tensor, image_index: Tensor,
                        batch: int) -> dict[str, Tensor]:
    """N-way matching of positives with the objects of the reference frame.

    Args:
        vectors: (P, T) track vectors of the positives.
        ref_vectors: (P, G, T) vectors of the reference objects of the
            positive's clip.
        ids: (P,) identity of each positive.
        ref_ids: (P, G) identities of the reference objects, -1 = padded.
        image_index: (P,) clip of each positive.
        batch: number of clips.

    Returns:
        ``loss_match``, the mean over clips of the mean over positives, class
        0 being "not in the reference frame", and ``match_acc`` in percent.
    """
    logits = torch.einsum('pt,pgt->pg', vectors.float(), ref_vectors.float())
    logits = logits.masked_fill(ref_ids < 0, -torch.inf)
    logits = torch.cat([logits.new_zeros(len(logits), 1), logits], 1)
    same = (ids[:, None] == ref_ids) & (ref_ids >= 0)
    target = torch.where(same.any(1), same.int().argmax(1) + 1, 0)
    loss = F.cross_entropy(logits, target, reduction='none')
    counts = segment_count(image_index, batch, loss.dtype).clamp(min=1)
    hit = (logits.argmax(1) == target).float()
    return dict(
        loss_match=(loss / counts[image_index]).sum() / batch,
        match_acc=hit.detach().sum() / max(len(hit), 1) * 100)
