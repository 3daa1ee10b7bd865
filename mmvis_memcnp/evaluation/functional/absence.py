"""Whether objects that come back get the identity that they had."""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .mot import follow


@dataclass
class AbsenceCounts:
    """Absences of the objects of a video; ``a + b`` joins videos.

    An object has the identity that was matched to it in most frames since it
    was last away.

    Attributes:
        returns: absences that end in the video.
        held: those of objects that had an identity before.
        recalled: those of objects that have the same one afterwards.
        frames: frames after a return, until the next absence, in which the
            object can be seen.
        found: those in which an identity is matched to it.
        same: those in which it is that of before.
    """
    returns: int = 0
    held: int = 0
    recalled: int = 0
    frames: int = 0
    found: int = 0
    same: int = 0

    def __add__(self, other: AbsenceCounts) -> AbsenceCounts:
        return AbsenceCounts(*(getattr(self, f.name) + getattr(other, f.name)
                               for f in fields(self)))

    def scores(self) -> dict[str, float]:
        """Ratios in [0, 1], NaN without a denominator.

        Returns:
            dict[str, float]: ``identity_recall``, share of the frames after a
            return in which the object has the identity of before;
            ``detection_recall``, in which it has any, the most that the
            former can be; ``returns_recalled``, share of the returns.
        """
        with np.errstate(invalid='ignore'):
            return {
                name: float(np.true_divide(part, whole))
                for name, part, whole in (
                    ('identity_recall', self.same, self.frames),
                    ('detection_recall', self.found, self.frames),
                    ('returns_recalled', self.recalled, self.returns))
            }


def count_absences(similarity: np.ndarray, present: np.ndarray,
                   predicted: np.ndarray, min_frames: int,
                   max_distance: float = .5) -> AbsenceCounts:
    """Look at the objects of one video that were away.

    Args:
        similarity, present, predicted, max_distance: see
            :func:`count_matches`, by whose matches identities are given.
        min_frames: frames without the object that make an absence, at
            least 1.
    """
    held = follow(similarity, present, predicted, max_distance)
    counts = AbsenceCounts()
    for seen, found in zip(present, held, strict=True):
        frames = np.flatnonzero(seen)
        breaks = np.flatnonzero(np.diff(frames) > min_frames) + 1
        spans = [found[part] for part in np.split(frames, breaks)]
        for before, after in zip(spans, spans[1:], strict=False):
            identity = _most(before)
            counts += AbsenceCounts(
                returns=1, held=int(identity >= 0),
                recalled=int(identity >= 0 and _most(after) == identity),
                frames=len(after), found=int((after >= 0).sum()),
                same=int((after == identity).sum()) if identity >= 0 else 0)
    return counts


def _most(identities: np.ndarray) -> int:
    """The identity of most frames, the smallest of several; -1 for none."""
    known = identities[identities >= 0]
    return int(np.bincount(known).argmax()) if known.size else -1
