"""What a loss takes of rows that are followed, and the loss of all frames."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..truth import GroundTruth, Matches
from .sampled_mask import SampledMaskLoss


class Learnt(NamedTuple):
    """What the loss takes of the rows of B frames.

    Attributes:
        logits: (L, B, R, K + 1).
        mask_embeds: (L, B, R, D).
        best: (B, G) int64, the row of each object, -1 for none.
        counted: (B, G) bool, objects that the masks' losses are divided by
            the number of: those with a row, and those that go on unseen.
        padded: (B, R) bool, rows that learn nothing.
        boxes: (B, R, ...) each, what MemCNP says about the rows (its
            ``RowBoxes``), or None.
    """
    logits: Tensor
    mask_embeds: Tensor
    best: Tensor
    counted: Tensor
    padded: Tensor
    boxes: tuple[Tensor, ...] | None = None


def join_rows(parts: Sequence[Tensor], axis: int, fill: float = 0.) -> Tensor:
    """Rows of frames, padded to the same number, frame after frame.

    Args:
        parts (Sequence[Tensor]): Rows on ``axis``, frames before it.
        axis (int): At least 1.
        fill (float): Value of what is padded. Defaults to 0.
    """
    most = max(part.shape[axis] for part in parts)
    return torch.cat([
        F.pad(x, (0, 0) * (x.dim() - 1 - axis) + (0, most - x.shape[axis]),
              value=fill) for x in parts], axis - 1)


def row_losses(criterion: SampledMaskLoss, learnt: Sequence[Learnt],
               features: Tensor, truth: GroundTruth) -> dict[str, Tensor]:
    """Losses of the rows of all frames at once.

    Args:
        criterion (SampledMaskLoss): Of single frames.
        learnt (Sequence[Learnt]): Of each time, B frames each.
        features (Tensor): Shape (T * B, D, h, w), which rows make masks of.
        truth (GroundTruth): Of the T * B frames.
    """
    logits, embeds = (join_rows([getattr(x, name) for x in learnt], 2)
                      for name in ('logits', 'mask_embeds'))
    best = torch.cat([frame.best for frame in learnt])
    matches = Matches.of_objects(
        best.expand(len(logits), -1, -1), logits.shape[2])
    padded = join_rows([frame.padded for frame in learnt], 1, True)
    matches = replace(matches, ignored=padded.expand(len(logits), -1, -1))
    counted = torch.cat([frame.counted for frame in learnt])
    return criterion(logits, embeds, features, matches,
                     truth._replace(valid=counted))
