"""Each prediction with its truth, for measures of uncertainty."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from .ground_truth import GTTrack
from .mot import box_iou
from .rle import stack_boxes

Four = tuple[float, float, float, float]


class Detection(Protocol):
    """One predicted instance of a frame, as a sink of results keeps it."""

    @property
    def frame(self) -> int:
        """Position of the frame in the video."""

    @property
    def score(self) -> float:
        """Confidence in [0, 1]."""

    @property
    def bbox(self) -> Four:
        """x1, y1, x2, y2 in pixels of the frame."""

    @property
    def sigmas(self) -> Four | None:
        """Standard deviations of the four, fractions of the frame's size."""

    @property
    def class_prob(self) -> float | None:
        """Probability of the label."""

    @property
    def centerness(self) -> float | None:
        """Predicted centre-ness."""

    @property
    def uncertainty(self) -> float | None:
        """What orders boxes by how unsure the network is of them."""


@dataclass
class Pairs:
    """N predicted instances, each with the object of its frame it meets best.

    Attributes:
        ious: float64 (N,) largest box IoU with an object of the frame; 0 in
            a frame without objects.
        class_ious: float64 (N,) the same with objects of its own class.
        scores: float64 (N,) confidences of the instances.
        class_probs: float64 (N,) probabilities of their class; NaN where they
            are not known.
        centernesses: float64 (N,) predicted centre-ness; NaN where the model
            predicts none.
        uncertainties: float64 (N,) what orders the boxes by how unsure the
            network is of them; NaN where the model predicts none.
        sigmas: float64 (N, 4) standard deviations of x1, y1, x2, y2 in
            pixels; NaN where the model predicts none.
        errors: float64 (N, 4) x1, y1, x2, y2, predicted minus true, in
            pixels, against the object that ``ious`` is of; NaN where the
            prediction touches none.
        sides: float64 (N, 4) width, height, width and height of the
            predicted box in pixels.
        frames: float64 (N, 4) the same of its frame.
    """
    ious: np.ndarray
    class_ious: np.ndarray
    scores: np.ndarray
    class_probs: np.ndarray
    centernesses: np.ndarray
    uncertainties: np.ndarray
    sigmas: np.ndarray
    errors: np.ndarray
    sides: np.ndarray
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.ious)

    def __getitem__(self, which: np.ndarray) -> Pairs:
        """Some of them.

        Args:
            which (np.ndarray): bool (N,), or places.
        """
        return Pairs(*(getattr(self, f.name)[which] for f in fields(self)))

    @classmethod
    def join(cls, parts: Iterable[Pairs]) -> Pairs:
        """Pairs of several frames or videos, in this order.

        Args:
            parts (Iterable[Pairs]): None at all gives N = 0.

        Returns:
            Pairs: All of them.
        """
        none = np.zeros(0)
        four = np.zeros((0, 4))
        found = [cls(*[none] * 6, *[four] * 4), *parts]
        return cls(*(np.concatenate([getattr(part, f.name) for part in found])
                     for f in fields(cls)))


def pair_frame(boxes: np.ndarray,
               scores: np.ndarray,
               labels: np.ndarray,
               gt_boxes: np.ndarray,
               gt_labels: np.ndarray,
               sigmas: np.ndarray | None = None,
               class_probs: np.ndarray | None = None,
               gt_crowd: np.ndarray | None = None,
               centernesses: np.ndarray | None = None,
               uncertainties: np.ndarray | None = None,
               size: tuple[int, int] = (1, 1)) -> Pairs:
    """Pair the predictions of one frame with its objects.

    Args:
        boxes (np.ndarray): (n, 4) x1, y1, x2, y2 in pixels.
        scores (np.ndarray): (n,) confidences.
        labels (np.ndarray): (n,) classes, in whatever numbering.
        gt_boxes (np.ndarray): (g, 4) as ``boxes``.
        gt_labels (np.ndarray): (g,) in the numbering of ``labels``.
        sigmas (np.ndarray | None): (n, 4) in pixels.
        class_probs (np.ndarray | None): (n,) probabilities of the classes.
        gt_crowd (np.ndarray | None): bool (g,). A prediction that meets a
            crowd best is neither right nor wrong and is left out.
        centernesses (np.ndarray | None): (n,) predicted centre-ness.
        uncertainties (np.ndarray | None): (n,) see :class:`Pairs`.
        size (tuple[int, int]): (H, W) of the frame. Defaults to (1, 1):
            everything is in fractions of it.

    Returns:
        Pairs: The n predictions, less those on crowds.
    """
    count = len(boxes)
    probs, centre, unsure = (
        np.full(count, np.nan) if values is None else values
        for values in (class_probs, centernesses, uncertainties))
    pairs = Pairs(
        np.zeros(count), np.zeros(count), scores, probs, centre, unsure,
        np.full((count, 4), np.nan) if sigmas is None else sigmas,
        np.full((count, 4), np.nan),
        np.tile(boxes[:, 2:] - boxes[:, :2], 2),
        np.tile(np.array(size[::-1], float), (count, 2)))
    if not len(gt_boxes):
        return pairs
    iou = box_iou(_xywh(boxes), _xywh(gt_boxes))
    best = iou.argmax(1)
    pairs.ious = iou.max(1, initial=0)
    same = np.where(labels[:, None] == gt_labels[None], iou, 0)
    pairs.errors = np.where(pairs.ious[:, None] > 0, boxes - gt_boxes[best],
                            np.nan)
    keep = np.ones(count, bool)
    if gt_crowd is not None:
        keep = ~gt_crowd[best] | (pairs.ious == 0)
        same = np.where(gt_crowd, 0, same)
    pairs.class_ious = same.max(1, initial=0)
    return pairs[keep]


def pair_video(tracks: Iterable[tuple[int, Iterable[Detection]]],
               truth: Sequence[GTTrack],
               size: tuple[int, int],
               num_frames: int,
               score_thr: float = 0.) -> Pairs:
    """Pair the instances of one video with its annotated objects.

    Boxes of the objects are those of their masks.

    Args:
        tracks (Iterable[tuple]): Category id and instances of each predicted
            track.
        truth (Sequence[GTTrack]): Annotated tracks, crowds included.
        size (tuple[int, int]): (H, W) of the frames.
        num_frames (int): Frames of the video.
        score_thr (float): Instances that score less are left out. Higher:
            fewer and surer predictions are judged.

    Returns:
        Pairs: Frame after frame.
    """
    unknown = (None, ) * 4
    rows = np.array([  # None becomes NaN
        (r.frame, category, r.score, *r.bbox, *(r.sigmas or unknown),
         r.class_prob, r.centerness, r.uncertainty)
        for category, records in tracks for r in records
        if r.score >= score_thr
    ], np.float64).reshape(-1, 14)
    objects = stack_boxes([t.segmentations for t in truth], num_frames)
    objects[..., 2:] += objects[..., :2]
    kinds = np.array([t.category_id for t in truth])
    crowd = np.array([t.crowd for t in truth], bool)
    height, width = size
    found = []
    for frame in range(num_frames):
        own = rows[rows[:, 0] == frame]
        seen = ~np.isnan(objects[:, frame, 0])
        found.append(pair_frame(
            own[:, 3:7], own[:, 2], own[:, 1], objects[seen, frame],
            kinds[seen], own[:, 7:11] * [width, height, width, height],
            own[:, 11], crowd[seen], own[:, 12], own[:, 13], size))
    return Pairs.join(found)


def _xywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
