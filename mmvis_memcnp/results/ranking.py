"""From the scores of frames to the scored, labelled tracks of a video.

A ranking sees every identity of every frame, whether a mask of it is kept or
not. What it remembers of an identity is of bounded size.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable
from operator import add
from typing import NamedTuple

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from .frame import FrameInstances


class Ranked(NamedTuple):
    """An identity under one label: a track of the video's result."""
    id: int
    label: int
    score: float


class Ranking(ABC):
    """Scores the identities of one video; one object a video."""

    @abstractmethod
    def add(self, frame: FrameInstances) -> None:
        """Take in the identities of the next frame."""

    @abstractmethod
    def drop(self, ids: Iterable[int]) -> None:
        """Forget identities; one that comes again starts afresh."""

    @abstractmethod
    def finish(self) -> list[Ranked]:
        """The tracks of the frames so far. More frames may follow."""


@TASK_UTILS.register_module()
class MajorityLabel(Ranking):
    """The most frequent label, the smallest on a tie, and the mean score."""

    def __init__(self) -> None:
        self._scores: dict[int, float] = {}
        self._labels: dict[int, Counter] = {}

    def add(self, frame: FrameInstances) -> None:
        """See :class:`Ranking`."""
        assert frame.scores is not None and frame.labels is not None
        for one, label, score in zip(
                frame.ids.tolist(), frame.labels.tolist(),
                frame.scores.tolist(), strict=True):
            self._scores[one] = self._scores.get(one, 0.) + score
            self._labels.setdefault(one, Counter())[label] += 1

    def drop(self, ids: Iterable[int]) -> None:
        """See :class:`Ranking`."""
        for one in ids:
            self._scores.pop(one, None)
            self._labels.pop(one, None)

    def finish(self) -> list[Ranked]:
        """See :class:`Ranking`; by ascending identity."""
        ranked = []
        for one, labels in sorted(self._labels.items()):
            most = max(labels.values())
            label = min(k for k, n in labels.items() if n == most)
            ranked.append(
                Ranked(one, label, self._scores[one] / labels.total()))
        return ranked


class _ClassSums(Ranking):
    """Keeps a number a class of each identity.

    Args:
        field: of :class:`FrameInstances`, (n, K): what is kept.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        # Single precision, as the scores. No tensors: thousands of little
        # ones that stay, among large ones that come and go, tear the heap to
        # pieces.
        self._sums: dict[int, array] = {}
        self._counts: dict[int, int] = {}

    def add(self, frame: FrameInstances) -> None:
        """See :class:`Ranking`.

        Raises:
            ValueError: If the system gives no such numbers.
        """
        values = getattr(frame, self._field)
        if values is None:
            raise ValueError(f'{type(self).__name__} needs {self._field} of '
                             'every frame: take another ranking for this '
                             'model.')
        for one, row in zip(frame.ids.tolist(), values.tolist(), strict=True):
            self._take_in(one, row)

    def _take_in(self, one: int, row: list[float]) -> None:
        """Add the numbers of a frame."""
        before = self._sums.get(one)
        self._sums[one] = array(
            'f', row if before is None else map(add, before, row))
        self._counts[one] = self._counts.get(one, 0) + 1

    def drop(self, ids: Iterable[int]) -> None:
        """See :class:`Ranking`."""
        for one in ids:
            self._sums.pop(one, None)
            self._counts.pop(one, None)

    def means(self) -> tuple[list[int], Tensor]:
        """Identities (n), ascending, and their means (n, K) over the frames
        in which they were seen."""
        ids = sorted(self._sums)
        if not ids:
            return [], torch.zeros(0, 0)
        sums = torch.tensor([self._sums[one].tolist() for one in ids])
        return ids, sums / torch.tensor([[self._counts[one]] for one in ids])


class _ClassPairs(_ClassSums):
    """Pairs of an identity and a class become tracks.

    Args:
        field: see :class:`_ClassSums`.
        num_pairs: how many, the best, best first; None for all.
    """

    def __init__(self, field: str, num_pairs: int | None) -> None:
        super().__init__(field)
        if num_pairs is not None and num_pairs < 1:
            raise ValueError(
                f'num_pairs must be at least 1, got {num_pairs}.')
        self.num_pairs = num_pairs

    def _pairs(self, ids: list[int], scores: Tensor,
               score_thr: float) -> list[Ranked]:
        """Those of scores (n, K) above a threshold; if not cut to a number,
        by ascending identity, then class."""
        rows, labels = (scores > score_thr).nonzero(as_tuple=True)
        scores = scores[rows, labels]
        if self.num_pairs is not None:
            scores, best = scores.topk(min(self.num_pairs, len(scores)))
            rows, labels = rows[best], labels[best]
        return [Ranked(ids[row], label, score) for row, label, score in zip(
            rows.tolist(), labels.tolist(), scores.tolist(), strict=True)]


class _ClassThreshold(_ClassPairs):
    """Every class whose score exceeds a threshold becomes a track.

    Args:
        score_thr (float): In [0, 1]. A higher one leaves fewer tracks.
            Defaults to 0.05.
        num_pairs (int, optional): See :class:`LatestClass`.
    """

    def __init__(self, score_thr: float = 0.05,
                 num_pairs: int | None = None) -> None:
        super().__init__('class_scores', num_pairs)
        self.score_thr = score_thr

    def finish(self) -> list[Ranked]:
        """See :class:`Ranking`."""
        return self._pairs(*self.means(), self.score_thr)


@TASK_UTILS.register_module()
class MeanClass(_ClassThreshold):
    """Every class whose mean score over an identity's frames suffices
    (IDOL).

    Args:
        score_thr (float): In [0, 1]. A higher one leaves fewer tracks.
            Defaults to 0.05.
        num_pairs (int, optional): See :class:`LatestClass`.
    """


@TASK_UTILS.register_module()
class LatestClass(_ClassThreshold):
    """Every class whose score, as last given, suffices (SeqFormer).

    For systems whose frames carry what is known of the whole identity.

    Args:
        score_thr (float): In [0, 1]. A higher one leaves fewer tracks.
            Defaults to 0.05.
        num_pairs (int, optional): Tracks at most, the best pairs of an
            identity and a class, best first (Mask2Former-VIS, IFR); more give
            tracks of lower scores. Defaults to None, all.
    """

    def _take_in(self, one: int, row: list[float]) -> None:
        self._sums[one], self._counts[one] = array('f', row), 1


@TASK_UTILS.register_module()
class MeanQuery(_ClassSums):
    """The best class of the mean over all frames (InstanceFormer, A.2).

    Args:
        score_thr (float): Tracks below it are dropped; in [0, 1]. Defaults
            to 0.001.
    """

    def __init__(self, score_thr: float = 0.001) -> None:
        super().__init__('class_scores')
        self.score_thr = score_thr

    def finish(self) -> list[Ranked]:
        """See :class:`Ranking`; by ascending identity."""
        ids, means = self.means()
        return _best(ids, means, self.score_thr)


def _best(ids: list[int], scores: Tensor, score_thr: float) -> list[Ranked]:
    """One track an identity, if its best class suffices."""
    if not ids:
        return []
    score, label = scores.max(1)
    return [Ranked(*row) for row in zip(
        ids, label.tolist(), score.tolist(), strict=True)
        if row[2] >= score_thr]


@TASK_UTILS.register_module()
class TopQuarterQuery(Ranking):
    """The rule of the released InstanceFormer.

    Of all (frame, class) scores of a query, the best T // 4 are taken (one in
    videos of less than four frames, where the released code fails). The label
    is the most frequent of their classes, the smallest on a tie; the score is
    the mean of those of that class. The queries must be the same in all
    frames.

    How many are needed is known at the end only, so that the best
    ``max_kept`` stay: the rule is exact up to 4 * max_kept + 3 frames, after
    which it is that of the best ``max_kept``.

    Args:
        score_thr (float): Tracks below it are dropped; in [0, 1]. Defaults
            to 0.001.
        max_kept (int): Scores kept of a query, 12 bytes each. Defaults to
            1024.
    """

    def __init__(self, score_thr: float = 0.001, max_kept: int = 1024) -> None:
        self.score_thr = score_thr
        self.max_kept = max_kept
        self._frames = 0
        self._ids: list[int] = []
        self._scores = torch.zeros(0)
        self._labels = torch.zeros(0)

    def add(self, frame: FrameInstances) -> None:
        """See :class:`Ranking`."""
        scores, ids = frame.class_scores, frame.ids.tolist()
        assert scores is not None
        if self._frames == 0:
            # Of full size from the start: memory does not depend on time.
            shape = (len(ids), self.max_kept)
            self._ids = ids
            self._scores = scores.new_full(shape, -1.)
            self._labels = torch.zeros(shape, dtype=torch.long,
                                       device=scores.device)
        if ids != self._ids:
            raise ValueError('TopQuarterQuery needs the same identities in '
                             'every frame: take another ranking for this '
                             'model.')
        classes = torch.arange(scores.shape[1], device=scores.device)
        both = torch.cat((self._scores, scores), 1)
        labels = torch.cat((self._labels, classes.expand_as(scores)), 1)
        self._scores, order = both.topk(self.max_kept, dim=1)
        self._labels = labels.gather(1, order)
        self._frames += 1

    def drop(self, ids: Iterable[int]) -> None:
        """See :class:`Ranking`."""
        gone = set(ids)
        rows = [i for i, one in enumerate(self._ids) if one not in gone]
        self._ids = [self._ids[i] for i in rows]
        self._scores, self._labels = self._scores[rows], self._labels[rows]

    def finish(self) -> list[Ranked]:
        """See :class:`Ranking`; in the order of the queries."""
        if self._frames == 0:
            return []
        count = min(max(self._frames // 4, 1), self.max_kept)
        scores, labels = self._scores[:, :count], self._labels[:, :count]
        label = labels.mode(dim=1).values
        own = labels == label[:, None]
        score = (scores * own).sum(1) / own.sum(1)
        return [Ranked(*row) for row in zip(
            self._ids, label.tolist(), score.tolist(), strict=True)
            if row[2] >= self.score_thr]


@TASK_UTILS.register_module()
class TopPairs(_ClassPairs):
    """The best (identity, class) pairs of the video (Mask2Former family).

    The class logits of an identity are averaged over its frames, then
    softmax; of all pairs without "no object" the best are tracks.

    Args:
        num_pairs (int): Pairs that become tracks; a higher one gives more
            tracks of low scores. Defaults to 10.
        rescore (bool): Multiply the scores of these pairs by the mean
            probability of the pixels of the identity's masks in the video,
            as released CTVIS does; masks whose edges are unsure lose.
            Defaults to False.
    """

    def __init__(self, num_pairs: int = 10, rescore: bool = False) -> None:
        super().__init__('logits', num_pairs)
        self.rescore = rescore
        #: Of each identity the sum of the probabilities, and the pixels.
        self._masks: dict[int, tuple[float, float]] = {}

    def add(self, frame: FrameInstances) -> None:
        """See :class:`Ranking`."""
        super().add(frame)
        if not self.rescore:
            return
        if frame.quality is None:
            raise ValueError('TopPairs(rescore=True) needs masks that are '
                             'rated: leave rescore out for this model.')
        for one, (total, pixels) in zip(
                frame.ids.tolist(), frame.quality.tolist(), strict=True):
            before = self._masks.get(one, (0., 0.))
            self._masks[one] = before[0] + total, before[1] + pixels

    def drop(self, ids: Iterable[int]) -> None:
        """See :class:`Ranking`."""
        ids = list(ids)
        super().drop(ids)
        for one in ids:
            self._masks.pop(one, None)

    def finish(self) -> list[Ranked]:
        """See :class:`Ranking`; the best first."""
        ids, means = self.means()
        ranked = self._pairs(ids, means.softmax(1)[:, :-1], -1.)
        if not self.rescore:
            return ranked
        return sorted(map(self._rescored, ranked), key=lambda x: -x.score)

    def _rescored(self, ranked: Ranked) -> Ranked:
        """0 for an identity without a pixel."""
        total, pixels = self._masks[ranked.id]
        return ranked._replace(score=ranked.score * total / (pixels + 1e-6))
