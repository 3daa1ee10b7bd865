"""Contrastive instance tracking (eq 16)."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from .distribution import at_least_float32


@MODELS.register_module()
class ContrastiveTrackingLoss(nn.Module):
    """Pulls an object's key and reference vectors together (eq 16).

    Similarity is the cosine over a temperature. Positive pairs: a key and a
    reference vector of the same object. Negative pairs: a key vector with a
    key or reference vector of another object, anywhere in the batch. The loss
    is the negative log of the positives' share of the summed exponentials of
    all these pairs; key-key pairs count once in each direction.

    Args:
        temperature (float): gamma. Defaults to 0.1.
        loss_weight (float): Defaults to 1.0.
    """

    def __init__(self,
                 temperature: float = 0.1,
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, key_embeds: Tensor, key_ids: Tensor, ref_embeds: Tensor,
                ref_ids: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            key_embeds (Tensor): Shape (P, C), vectors of candidate boxes in
                key frames; several may belong to one object.
            key_ids (Tensor): Shape (P,) int64, object of each, unique over
                the whole batch (not just its video).
            ref_embeds (Tensor): Shape (R, C), vectors of ground-truth boxes
                in reference frames.
            ref_ids (Tensor): Shape (R,) int64.

        Returns:
            Tensor: Scalar; zero, with the graph attached, if no object is in
            both frames.
        """
        keys = F.normalize(at_least_float32(key_embeds), dim=1)
        refs = F.normalize(at_least_float32(ref_embeds), dim=1)
        others = torch.cat((refs, keys))
        with torch.autocast(keys.device.type, enabled=False):
            logits = keys @ others.t() / self.temperature
        same = key_ids[:, None] == torch.cat((ref_ids, key_ids))
        # A key vector makes no positive pair with one of its own frame.
        positive = same & (
            torch.arange(len(others), device=same.device) < len(refs))
        pairs = positive | ~same
        # Finite, so that the gradient of an empty set is finite as well.
        lowest = torch.finfo(logits.dtype).min / 2
        all_pairs = _log_sum(logits, pairs, lowest)
        positives = _log_sum(logits, positive, lowest)
        loss = torch.where(positive.any(), all_pairs - positives, 0.)
        return self.loss_weight * (loss + logits.sum() * 0)


def _log_sum(logits: Tensor, chosen: Tensor, lowest: float) -> Tensor:
    """Log-sum-exp of the chosen logits, ``lowest`` if there is none."""
    filled = logits.masked_fill(~chosen, lowest).flatten()
    return torch.logsumexp(F.pad(filled, (0, 1), value=lowest), dim=0)
