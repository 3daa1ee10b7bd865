"""Contrastive loss of instance embeddings between two frames."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

# Stands for minus infinity where a whole row is masked: its softmax has a
# gradient.
_NOTHING = -1e9


@MODELS.register_module()
class ContrastiveEmbeddingLoss(nn.Module):
    """Many positives and many negatives for each object of a key frame.

    For an embedding v, positives k+ and negatives k-, the loss is
    ``log(1 + sum_+ sum_- exp(v k- - v k+))``; beside it, a squared error of
    the cosine with 1 or 0 on the positives and on some negatives drawn at
    random. Both are means over the objects of the batch. Source: Pang et al.,
    Quasi-Dense Similarity Learning, CVPR 2021, as IDOL uses them.

    Args:
        weight (float): Of the first. Defaults to 2.
        aux_weight (float): Of the second. Defaults to 3.
        negative_ratio (int, optional): Negatives to draw for each positive
            of the second; None takes all, as CTVIS does. Defaults to 10.
    """

    #: Takes key and reference frames.
    whole_clips = False

    def __init__(self,
                 weight: float = 2.,
                 aux_weight: float = 3.,
                 negative_ratio: int | None = 10) -> None:
        super().__init__()
        self.weight = weight
        self.aux_weight = aux_weight
        self.negative_ratio = negative_ratio

    def forward(self, key_embeds: Tensor, ref_embeds: Tensor,
                positives: Tensor, negatives: Tensor,
                valid: Tensor) -> dict[str, Tensor]:
        """Losses of B pairs of frames with up to G objects.

        Args:
            key_embeds (Tensor): Shape (B, G, C), of the objects.
            ref_embeds (Tensor): Shape (B, Q, C), of all queries of the
                reference frame.
            positives (Tensor): Shape (B, G, Q) bool.
            negatives (Tensor): Shape (B, G, Q) bool.
            valid (Tensor): Shape (B, G) bool, objects that count.

        Returns:
            dict[str, Tensor]: ``loss_embed`` and ``loss_embed_aux``, 0 where
            no object counts.
        """
        key, ref = key_embeds.float(), ref_embeds.float()
        with torch.autocast(key.device.type, enabled=False):
            dots = key @ ref.transpose(1, 2)
            cosines = F.normalize(key, dim=-1) @ F.normalize(
                ref, dim=-1).transpose(1, 2)
            away = dots.masked_fill(~negatives, _NOTHING).logsumexp(-1)
            near = (-dots).masked_fill(~positives, _NOTHING).logsumexp(-1)
            contrast = F.softplus(away + near)
            drawn = self.draw(negatives, positives)
            squares = (cosines - positives.float())**2 * (positives | drawn)
            aux = squares.sum(-1) / (positives | drawn).sum(-1).clamp(min=1)
            count = valid.sum().clamp(min=1)
            return dict(
                loss_embed=self.weight * (contrast * valid).sum() / count,
                loss_embed_aux=self.aux_weight * (aux * valid).sum() / count)

    def draw(self, negatives: Tensor, positives: Tensor) -> Tensor:
        """Draw negatives for the auxiliary loss with torch's generator.

        Args:
            negatives (Tensor): Shape (B, G, Q) bool.
            positives (Tensor): Shape (B, G, Q) bool.

        Returns:
            Tensor: Shape (B, G, Q) bool: ``negative_ratio`` negatives a
            positive, as many without any positive, all if there are fewer.
        """
        if self.negative_ratio is None:
            return negatives
        wanted = positives.sum(-1, keepdim=True).clamp(
            min=1) * self.negative_ratio
        lots = torch.rand(negatives.shape, device=negatives.device)
        order = lots.masked_fill(~negatives, 2.).argsort(-1)
        ranks = torch.arange(negatives.shape[-1], device=negatives.device)
        drawn = torch.zeros_like(negatives)
        return drawn.scatter_(-1, order, ranks < wanted) & negatives
