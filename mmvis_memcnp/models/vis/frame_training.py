"""Training of a segmenter on the frames of clips, as CTVIS and MinVIS do."""
from __future__ import annotations

from mmdet.structures import TrackDataSample
from torch import Tensor, nn

from ..matching import OneToOneMatcher, Queries
from ..truth.clip_truth import collect_clips


def frame_losses(inputs: Tensor,
                 data_samples: list[TrackDataSample],
                 segmenter: nn.Module,
                 matcher: OneToOneMatcher | None,
                 loss: nn.Module,
                 loss_embed: nn.Module | None = None) -> dict[str, Tensor]:
    """Losses of all frames, each for itself, and of their embeddings.

    Args:
        inputs (Tensor): Shape (N, T, 3, H, W).
        data_samples (list[TrackDataSample]): Annotated frames.
        segmenter (nn.Module): A :class:`Mask2FormerSegmenter`.
        matcher (OneToOneMatcher, optional): Without one, an error.
        loss (nn.Module): A :class:`SampledMaskLoss`.
        loss_embed (nn.Module, optional): A :class:`ClipContrast` of the
            embeddings of a clip.

    Returns:
        dict[str, Tensor]: See :meth:`SampledMaskLoss.forward` and
        :meth:`ClipContrast.forward`.

    Raises:
        ValueError: If there is no matcher.
    """
    if matcher is None:
        raise ValueError(
            'Training needs a matcher: set matcher in the config.')
    # Before the network: what it reads back would wait for that.
    truth = collect_clips(data_samples, inputs.device, 1).frames()
    found = segmenter(inputs.flatten(0, 1))
    matches = matcher.match(
        Queries(found.logits, mask_embeds=found.mask_embeds,
                mask_features=found.mask_features), truth)
    losses = loss(found.logits, found.mask_embeds, found.mask_features,
                  matches, truth)
    if loss_embed is not None:
        assert found.embeds is not None and matches.best is not None
        losses.update(loss_embed(*(
            x[-1].unflatten(0, inputs.shape[:2])
            for x in (found.embeds, matches.best))))
    return losses
