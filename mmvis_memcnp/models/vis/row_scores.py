"""Whose masks of a frame are made, where every row stays for the video."""
from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class RowScores:
    """Class logits of N rows over a video.

    Attributes:
        logits: (N, K + 1), sum over the frames so far; 0 before.
        frames: number of frames so far.
    """
    logits: Tensor | float = field(default=0., kw_only=True)
    frames: int = field(default=0, kw_only=True)

    def shown(self, logits: Tensor, count: int | None) -> Tensor | None:
        """Take in a frame, and say whose masks of it are made.

        Args:
            logits (Tensor): Shape (N, K + 1), the last of no object.
            count (int, optional): So many are; None for all.

        Returns:
            Tensor | None: Shape (N,) bool, the rows with the best class
            scores, in this frame or in the mean so far; None for all.
        """
        if count is None:
            return None
        total, self.frames = self.logits + logits, self.frames + 1
        self.logits = total
        both = torch.stack((logits, total / self.frames))
        best = both.softmax(-1)[..., :-1].amax((0, 2))
        shown = best.topk(min(count, len(best))).indices
        return torch.zeros_like(best, dtype=torch.bool).index_fill(
            0, shown, True)


def check_num_shown(count: int | None) -> int | None:
    """The number of masks of a frame, at least 1, or None.

    Raises:
        ValueError: If it is smaller.
    """
    if count is not None and count < 1:
        raise ValueError(
            f'num_shown must be at least 1 or None, got {count}.')
    return count
