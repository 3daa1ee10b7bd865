"""Training of a segmenter on the frames of clips, as CTVIS and MinVIS do."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mmdet.structures import TrackDataSample
from torch import Tensor, nn

from ..matching import OneToOneMatcher, Queries
from ..segmenters.mask2former import FrameQueries
from ..truth import GroundTruth, Matches
from ..truth.clip_truth import collect_clips
from .arguments import needed


class FrameSegmenter(Protocol):
    """What can be trained on frames."""

    def layers(self, frames: Tensor) -> list[FrameQueries]:
        """Predictions of frames (B, 3, H, W); see :func:`layer_losses`."""


def frame_losses(inputs: Tensor,
                 data_samples: list[TrackDataSample],
                 segmenter: FrameSegmenter,
                 matcher: OneToOneMatcher | None,
                 loss: nn.Module,
                 loss_embed: nn.Module | None = None) -> dict[str, Tensor]:
    """Losses of all frames, each for itself, and of their embeddings.

    Args:
        inputs (Tensor): Shape (N, T, 3, H, W).
        data_samples (list[TrackDataSample]): Annotated frames.
        segmenter (FrameSegmenter): A :class:`Mask2FormerSegmenter` or
            :class:`EoMTSegmenter`.
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
    matcher = needed(matcher, 'matcher')
    # Before the network: what it reads back would wait for that.
    truth = collect_clips(data_samples, inputs.device, 1).frames()
    layers = segmenter.layers(inputs.flatten(0, 1))
    losses, matches = layer_losses(
        layers, lambda queries: matcher.match(queries, truth), loss, truth)
    if loss_embed is not None:
        embeds = layers[-1].embeds
        assert embeds is not None and matches.best is not None
        losses.update(loss_embed(*(
            x[-1].unflatten(0, inputs.shape[:2])
            for x in (embeds, matches.best))))
    return losses


def layer_losses(layers: Sequence[FrameQueries],
                 match: Callable[[Queries], Matches], loss: nn.Module,
                 truth: GroundTruth) -> tuple[dict[str, Tensor], Matches]:
    """Losses of predictions by the mask features that they share.

    Args:
        layers (Sequence[FrameQueries]): Of the same B frames. Those of a
            Mask2Former are one item of all its layers, those of an EoMT one
            a layer.
        match (Callable): Gives the matches of queries.
        loss (nn.Module): A :class:`SampledMaskLoss`.
        truth (GroundTruth): Of the frames.

    Returns:
        tuple[dict[str, Tensor], Matches]: The losses, those of items before
        the last one with the prefix ``d<l>.``; the matches of the last one.
    """
    losses: dict[str, Tensor] = {}
    for number, found in enumerate(layers):
        matches = match(Queries(
            found.logits, mask_embeds=found.mask_embeds,
            mask_features=found.mask_features))
        last = number == len(layers) - 1
        losses.update({
            name if last else f'd{number}.{name}': value
            for name, value in loss(
                found.logits, found.mask_embeds, found.mask_features,
                matches, truth).items()})
    return losses, matches
