"""Video-level labels and scores of queries that live through a video.

A query is scored in every frame, also in those in which its mask is empty;
hence all of them are taken at once, and not an identity at a time as a
:class:`~mmvis_memcnp.results.scoring.VideoScoring` takes them.
"""
from typing import Optional, Protocol

import torch
from torch import Tensor


class QueryScoring(Protocol):
    """Keeps what it needs of n queries, of a size that does not grow."""

    def add(self, scores: Tensor) -> None:
        """Take in the next frame.

        Args:
            scores (Tensor): Shape (n, K), confidences in [0, 1].
        """

    def finish(self) -> tuple[Tensor, Tensor]:
        """Labels (n,) int64 and scores (n,) of the frames so far.

        Raises:
            ValueError: Before the first frame.
        """


class MeanQueryScoring:
    """The best class of the mean over all frames (InstanceFormer, A.2).

    Keeps n x K sums.
    """

    def __init__(self) -> None:
        self.total: Optional[Tensor] = None
        self.frames = 0

    def add(self, scores: Tensor) -> None:
        """See :class:`QueryScoring`."""
        self.total = (scores.clone() if self.total is None else
                      self.total + scores)
        self.frames += 1

    def finish(self) -> tuple[Tensor, Tensor]:
        """See :class:`QueryScoring`."""
        if self.total is None:
            raise ValueError('No frame was scored yet.')
        score, label = (self.total / self.frames).max(-1)
        return label, score


class TopQuarterQueryScoring:
    """The released rule: the most frequent class of the best scores.

    Of all (frame, class) scores of a query, the best T // 4 are taken (one in
    videos of less than four frames, where the released code fails). The label
    is the most frequent of their classes, the smallest on a tie; the score is
    the mean of those of that class.

    How many are needed is known at the end only, so that the best
    ``max_kept`` stay: the rule is exact up to 4 * max_kept + 3 frames, after
    which it is that of the best ``max_kept``.

    Args:
        max_kept (int): Scores kept of a query, 12 bytes each. Defaults to
            1024.
    """

    def __init__(self, max_kept: int = 1024) -> None:
        self.max_kept = max_kept
        self.frames = 0
        self.scores: Optional[Tensor] = None
        self.labels: Optional[Tensor] = None

    def add(self, scores: Tensor) -> None:
        """See :class:`QueryScoring`."""
        shape = (len(scores), self.max_kept)
        if self.scores is None or self.labels is None:
            # Of full size from the start: memory does not depend on time.
            self.scores = scores.new_full(shape, -1.)
            self.labels = torch.zeros(shape, dtype=torch.long,
                                      device=scores.device)
        classes = torch.arange(scores.shape[1], device=scores.device)
        both = torch.cat((self.scores, scores), 1)
        labels = torch.cat((self.labels, classes.expand_as(scores)), 1)
        self.scores, order = both.topk(self.max_kept, dim=1)
        self.labels = labels.gather(1, order)
        self.frames += 1

    def finish(self) -> tuple[Tensor, Tensor]:
        """See :class:`QueryScoring`."""
        if self.scores is None or self.labels is None:
            raise ValueError('No frame was scored yet.')
        count = min(max(self.frames // 4, 1), self.max_kept)
        scores, labels = self.scores[:, :count], self.labels[:, :count]
        label = labels.mode(dim=1).values
        own = labels == label[:, None]
        return label, (scores * own).sum(1) / own.sum(1)


QUERY_SCORINGS = dict(mean=MeanQueryScoring,
                      top_quarter=TopQuarterQueryScoring)
