"""Which prediction learns which object: the result of every matching."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """Predictions and the padded objects that they learn.

    Q predictions (queries, or points of a dense head) and G objects of each
    set; the leading axes ``...`` are (layers, frames) of queries, with clips
    in the place of frames in a clip system, and (images,) of points. What is
    neither a positive nor ignored is a negative.

    Attributes:
        gt_index (Tensor): Shape (..., Q) int64, object of a positive, else
            -1.
        best (Tensor | None): Shape (..., G) int64, the prediction that stands
            for each object, -1 for an object without any; None from rules
            that name no such one.
        ignored (Tensor | None): Shape (..., Q) bool, neither positive nor
            negative; None if there are no such.
        centreness (Tensor | None): How central a prediction is in its object,
            in [0, 1]: shape (..., Q), or (..., T, Q) of clips; None from
            rules that do not ask.
    """
    gt_index: Tensor
    best: Tensor | None = None
    ignored: Tensor | None = None
    centreness: Tensor | None = None

    @classmethod
    def of_objects(cls, best: Tensor, num_queries: int) -> Matches:
        """One prediction an object.

        Args:
            best (Tensor): Shape (..., G) int64, -1 for an object without any;
                no prediction twice.
            num_queries (int): Q.
        """
        rows = torch.where(best >= 0, best, num_queries)
        table = best.new_full((*best.shape[:-1], num_queries + 1), -1)
        objects = torch.arange(best.shape[-1], device=best.device)
        table.scatter_(-1, rows, objects.expand_as(rows))
        return cls(table[..., :-1], best)

    # -- by prediction ----------------------------------------------------
    @property
    def pos(self) -> Tensor:
        """Positives, (..., Q) bool."""
        return self.gt_index >= 0

    @property
    def neg(self) -> Tensor:
        """Negatives, (..., Q) bool."""
        return ~self.pos if self.ignored is None else ~(
            self.pos | self.ignored)

    def of_each_object(self, num_objects: int) -> Tensor:
        """Positives of each object, (..., G, Q) bool.

        Args:
            num_objects (int): G.
        """
        objects = torch.arange(num_objects, device=self.gt_index.device)
        return self.gt_index[..., None, :] == objects[:, None]

    # -- pairs --------------------------------------------------------------
    @cached_property
    def pairs(self) -> tuple[Tensor, ...]:
        """Index of the P positives, the last axis fastest.

        Returns:
            tuple[Tensor, ...]: Shape (P,) int64 each: one for each leading
            axis, the prediction and its object.
        """
        where = self.pos.nonzero(as_tuple=True)
        return *where, self.gt_index[where]

    @property
    def where(self) -> tuple[Tensor, Tensor, Tensor]:
        """Layer, frame and query of each pair, (P,) int64; of queries."""
        return self.layer, self.frame, self.query

    @property
    def layer(self) -> Tensor:
        """Decoder layer of each pair, (P,) int64; of queries alone."""
        return self.pairs[-4]

    @property
    def frame(self) -> Tensor:
        """Frame (clip, image) of each pair, (P,) int64."""
        return self.pairs[-3]

    @property
    def query(self) -> Tensor:
        """Prediction of each pair, (P,) int64."""
        return self.pairs[-2]

    @property
    def gt(self) -> Tensor:
        """Object of each pair, (P,) int64."""
        return self.pairs[-1]

    # -- others from these ----------------------------------------------------
    def map(self, change: Callable[[Tensor], Tensor]) -> Matches:
        """Every field that is there, changed alike."""
        return Matches(change(self.gt_index), *(
            None if value is None else change(value)
            for value in (self.best, self.ignored, self.centreness)))

    def only(self, objects: Tensor) -> Matches:
        """Matches of some objects; the others' predictions are negatives.

        Args:
            objects (Tensor): Shape (..., G) bool; leading axes may be fewer,
                or 1.
        """
        assert self.best is not None
        kept = objects.expand_as(self.best).gather(
            -1, self.gt_index.clamp(min=0))
        return Matches(self.gt_index.where(kept, -1),
                       self.best.where(objects, -1))

    def by_frame(self, num_frames: int) -> Matches:
        """The matches of clips, in each of their frames.

        Args:
            num_frames (int): T; the frames of a clip follow each other.

        Returns:
            Matches: Of layers and B * T frames; the pairs frame by frame.
        """
        layer, clip, query, gt = self.pairs
        times = torch.arange(num_frames, device=clip.device)[:, None]
        frame = (clip * num_frames + times).flatten()
        moved = self.map(lambda x: x.repeat_interleave(num_frames, 1))
        moved.__dict__['pairs'] = (
            layer.repeat(num_frames), frame, query.repeat(num_frames),
            gt.repeat(num_frames))
        return moved

    def to(self, device: torch.device) -> Matches:
        """On a device; the pairs are found where the matches are now, so that
        those found on the host make no device wait."""
        pairs = torch.stack(self.pairs).to(device, non_blocking=True)
        moved = self.map(lambda x: x.to(device, non_blocking=True))
        moved.__dict__['pairs'] = pairs.unbind()
        return moved
