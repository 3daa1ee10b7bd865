"""From the scores of the frames to those of a video."""
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from dataclasses import dataclass, field
from operator import add
from typing import Any, Optional, Protocol


class VideoScoring(Protocol):
    """Decides label and score of an identity; holds no state itself."""

    def start(self) -> Any:
        """What is kept of one identity, of bounded size."""

    def add(self, kept: Any, label: int, score: float,
            class_scores: Optional[list[float]]) -> None:
        """Take in a frame in which the identity was found.

        Args:
            kept (Any): Of this identity; changed in place.
            label (int): 0-based class index.
            score (float): Confidence.
            class_scores (list[float], optional): Of all K classes, in
                [0, 1].
        """

    def finish(self, kept: Any) -> list[tuple[int, float]]:
        """Labels and scores, each of which becomes a track of its own."""


@dataclass
class _Histogram:
    total: float = 0.
    count: int = 0
    labels: Counter = field(default_factory=Counter)


class MajorityScoring:
    """The most frequent label, the smallest on a tie, and the mean score."""

    def start(self) -> _Histogram:
        """See :class:`VideoScoring`."""
        return _Histogram()

    def add(self, kept: _Histogram, label: int, score: float,
            class_scores: Optional[list[float]]) -> None:
        """See :class:`VideoScoring`."""
        kept.total += score
        kept.count += 1
        kept.labels[label] += 1

    def finish(self, kept: _Histogram) -> list[tuple[int, float]]:
        """See :class:`VideoScoring`."""
        most = max(kept.labels.values())
        label = min(k for k, n in kept.labels.items() if n == most)
        return [(label, kept.total / kept.count)]


@dataclass
class _Sum:
    # Single precision, as the scores. No tensor: thousands of little ones that
    # stay, among large ones that come and go, tear the heap to pieces.
    total: Optional[array] = None
    count: int = 0


class ClassThresholdScoring(ABC):
    """Every class whose score exceeds a threshold.

    Which score an identity has of each class, subclasses say.

    Args:
        threshold (float): In [0, 1]. Defaults to 0.05.
    """

    def __init__(self, threshold: float = 0.05) -> None:
        self.threshold = threshold

    def start(self) -> _Sum:
        """See :class:`VideoScoring`."""
        return _Sum()

    def add(self, kept: _Sum, label: int, score: float,
            class_scores: Optional[list[float]]) -> None:
        """See :class:`VideoScoring`.

        Raises:
            ValueError: Without ``class_scores``.
        """
        if class_scores is None:
            raise ValueError(f'{type(self).__name__} needs class_scores in '
                             'every frame result.')
        self._take_in(kept, class_scores)

    @abstractmethod
    def _take_in(self, kept: _Sum, class_scores: list[float]) -> None:
        """Change ``kept`` in place by the K scores of a frame."""

    def finish(self, kept: _Sum) -> list[tuple[int, float]]:
        """See :class:`VideoScoring`."""
        if kept.total is None:
            return []
        means = [total / kept.count for total in kept.total]
        return [(k, mean) for k, mean in enumerate(means)
                if mean > self.threshold]


class MeanClassScoring(ClassThresholdScoring):
    """Every class whose mean score over the frames exceeds a threshold."""

    def _take_in(self, kept: _Sum, class_scores: list[float]) -> None:
        total = kept.total or [0.] * len(class_scores)
        kept.total = array('f', map(add, total, class_scores))
        kept.count += 1


class LatestClassScoring(ClassThresholdScoring):
    """Every class whose score, as last given, exceeds a threshold.

    For systems whose frames carry what is known of the whole identity.
    """

    def _take_in(self, kept: _Sum, class_scores: list[float]) -> None:
        kept.total, kept.count = array('f', class_scores), 1
