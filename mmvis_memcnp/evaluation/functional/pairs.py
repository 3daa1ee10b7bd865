"""Each prediction with its truth: what measures of uncertainty are fed with.

A failure is a predicted box whose IoU with every object of its frame is below
one half, whatever the classes (so that localisation is judged, not naming).
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from .calibration import auroc, calibration, sparsification
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


@dataclass
class Pairs:
    """N predicted instances, each with the object of its frame it meets best.

    Attributes:
        ious: float64 (N,) largest box IoU with an object of the frame; 0 in
            a frame without objects.
        class_ious: float64 (N,) the same with objects of its own class.
        scores: float64 (N,) confidences of the instances.
        class_probs: float64 (N,) probabilities of their class; NaN where they
            are not known beside the scores.
        sigmas: float64 (N, 4) standard deviations of x1, y1, x2, y2 in
            pixels; NaN where the model predicts none.
        errors: float64 (N, 4) x1, y1, x2, y2, predicted minus true, in
            pixels, against the object that ``ious`` is of; NaN where the
            prediction touches none.
    """
    ious: np.ndarray
    class_ious: np.ndarray
    scores: np.ndarray
    class_probs: np.ndarray
    sigmas: np.ndarray
    errors: np.ndarray

    def __len__(self) -> int:
        return len(self.ious)

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
        found = [cls(none, none, none, none, four, four), *parts]
        return cls(*(np.concatenate([getattr(part, f.name) for part in found])
                     for f in fields(cls)))


def pair_frame(boxes: np.ndarray,
               scores: np.ndarray,
               labels: np.ndarray,
               gt_boxes: np.ndarray,
               gt_labels: np.ndarray,
               sigmas: np.ndarray | None = None,
               class_probs: np.ndarray | None = None,
               gt_crowd: np.ndarray | None = None) -> Pairs:
    """Pair the predictions of one frame with its objects.

    Args:
        boxes (np.ndarray): (n, 4) x1, y1, x2, y2 in pixels.
        scores (np.ndarray): (n,) confidences.
        labels (np.ndarray): (n,) classes, in whatever numbering.
        gt_boxes (np.ndarray): (g, 4) as ``boxes``.
        gt_labels (np.ndarray): (g,) in the numbering of ``labels``.
        sigmas (np.ndarray | None): (n, 4) in pixels.
        class_probs (np.ndarray | None): (n,) probabilities of the classes,
            where the scores are something else.
        gt_crowd (np.ndarray | None): bool (g,). A prediction that meets a
            crowd best is neither right nor wrong and is left out.

    Returns:
        Pairs: The n predictions, less those on crowds.
    """
    count = len(boxes)
    probs = np.full(count, np.nan) if class_probs is None else class_probs
    spread = np.full((count, 4), np.nan) if sigmas is None else sigmas
    if not len(gt_boxes):
        zero = np.zeros(count)
        return Pairs(zero, zero.copy(), scores, probs, spread,
                     np.full((count, 4), np.nan))
    iou = box_iou(_xywh(boxes), _xywh(gt_boxes))
    best = iou.argmax(1)
    ious = iou.max(1, initial=0)
    same = np.where(labels[:, None] == gt_labels[None], iou, 0)
    errors = np.where(ious[:, None] > 0, boxes - gt_boxes[best], np.nan)
    keep = np.ones(count, bool)
    if gt_crowd is not None:
        keep = ~gt_crowd[best] | (ious == 0)
        same = np.where(gt_crowd, 0, same)
    return Pairs(ious[keep], same.max(1, initial=0)[keep], scores[keep],
                 probs[keep], spread[keep], errors[keep])


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
    unknown = (np.nan, ) * 4
    rows = np.array([
        (r.frame, category, r.score, *r.bbox, *(r.sigmas or unknown))
        for category, records in tracks for r in records
        if r.score >= score_thr
    ], np.float64).reshape(-1, 11)
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
            kinds[seen], own[:, 7:] * [width, height, width, height],
            gt_crowd=crowd[seen]))
    return Pairs.join(found)


def reliability(pairs: Pairs, iou_thr: float = .5) -> dict[str, float]:
    """What the standard deviations and the scores say about failures.

    Args:
        pairs (Pairs): With or without standard deviations.
        iou_thr (float): A prediction fails below this IoU with any object.

    Returns:
        dict[str, float]: ``num_pairs``; ``failures`` (share of predictions);
        ``auroc_score``, ``auroc_class_prob`` and ``auroc_sigma`` (chance that
        a failure looks less certain than a success; .5 = uninformative);
        ``ause_score`` and ``ause_sigma`` (area between the sparsification
        curve of 1 - IoU and its bound, in units of the mean; 0 = perfect) and
        ``ause_random``; ``coverage_error`` (mean distance of observed to
        nominal coverage of the sides of successes; 0 = calibrated),
        ``z_std`` (root mean square of error / sigma; below 1 = sigma too
        large) and ``sharpness`` (mean sigma in pixels). Without standard
        deviations, or with nothing to judge, a number is NaN.
    """
    sigma = pairs.sigmas.mean(1)
    failed = pairs.ious < iou_thr
    known = ~np.isnan(sigma)
    named = ~np.isnan(pairs.class_probs)
    judged = known & ~failed
    nan = float('nan')
    numbers = dict(
        num_pairs=float(len(pairs)),
        failures=float(failed.mean()) if len(pairs) else nan,
        auroc_score=auroc(-pairs.scores, failed),
        auroc_class_prob=auroc(-pairs.class_probs[named], failed[named]),
        auroc_sigma=auroc(sigma[known], failed[known]),
        ause_score=nan, ause_sigma=nan, ause_random=nan, coverage_error=nan,
        z_std=nan, sharpness=nan)
    if len(pairs):
        curve = sparsification(1 - pairs.ious, -pairs.scores)
        numbers.update(ause_score=curve.ause, ause_random=curve.random)
    if known.any():
        numbers['ause_sigma'] = sparsification(
            1 - pairs.ious[known], sigma[known]).ause
    if judged.any():
        sides = calibration(pairs.errors[judged], pairs.sigmas[judged])
        numbers.update(
            coverage_error=float(sides.error.mean()),
            z_std=float(np.sqrt(np.square(sides.z_std).mean())),
            sharpness=float(sides.sharpness.mean()))
    return numbers


def _xywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
