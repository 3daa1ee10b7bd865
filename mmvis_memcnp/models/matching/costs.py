"""What a query costs as the match of an object: terms and their sum.

L layers, B frames (or clips of T frames), Q queries, G padded objects, K
classes; ``[T]`` is there in clips alone.
"""
from abc import abstractmethod
from typing import NamedTuple

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from ..layers.boxes import aligned_giou
from ..truth.clip_truth import ClipTruth
from ..truth.ground_truth import GroundTruth


class Queries(NamedTuple):
    """What a decoder says, as matchers see it; ``...`` is (L, B).

    Attributes:
        logits: (..., Q, K) class logits.
        boxes: (..., Q, [T,] 4), cx, cy, w, h as fractions of the frame.
        references: (..., Q, [T,] 2 or 4), the points or boxes that entered
            the layer, centre first, fractions of the frame.
        sigmas: (..., Q, [T,] 4), standard deviations of the box sides.
        mask_embeds: (..., [T,] Q, D), weights of the mask features.
        mask_features: (B, [T,] D, h, w), of the frames.
    """
    logits: Tensor
    boxes: Tensor | None = None
    references: Tensor | None = None
    sigmas: Tensor | None = None
    mask_embeds: Tensor | None = None
    mask_features: Tensor | None = None


Truth = GroundTruth | ClipTruth


class MatchCost:
    """A term of the cost of every pair.

    Args:
        weight (float): The higher, the more this term decides. Defaults to 1.
    """

    def __init__(self, weight: float = 1.) -> None:
        self.weight = weight

    @abstractmethod
    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """Cost of every pair, not weighted.

        Args:
            queries (Queries): Floats in single precision.
            truth (GroundTruth | ClipTruth): Of the B frames or clips; its
                (B, ...) stand for every layer.

        Returns:
            Tensor: Shape (..., Q, G) float32.
        """


@TASK_UTILS.register_module()
class FocalCost(MatchCost):
    """Focal loss as a positive of the class less that as a negative.

    Args:
        weight (float): See :class:`MatchCost`. Defaults to 2.
        alpha (float): Weight of the loss as a positive, in [0, 1]; higher
            values favour sure queries more. Defaults to 0.25.
        gamma (float): Exponent; higher values count queries less whose class
            is settled. Defaults to 2.
    """

    def __init__(self,
                 weight: float = 2.,
                 alpha: float = 0.25,
                 gamma: float = 2.) -> None:
        super().__init__(weight)
        self.alpha = alpha
        self.gamma = gamma

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """See :class:`MatchCost`."""
        p = _of_labels(queries.logits.sigmoid(), truth.labels)
        positive = self.alpha * (1 - p)**self.gamma * -(p + 1e-8).log()
        negative = (1 - self.alpha) * p**self.gamma * -(1 - p + 1e-8).log()
        return positive - negative


@TASK_UTILS.register_module()
class SoftmaxCost(MatchCost):
    """Minus the probability of the class, in [-1, 0]; the last logit may be
    that of no object."""

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """See :class:`MatchCost`."""
        return -_of_labels(queries.logits.softmax(-1), truth.labels)


@TASK_UTILS.register_module()
class SigmoidCost(MatchCost):
    """Minus the probability of the class, in [-1, 0], of its own logit."""

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """See :class:`MatchCost`."""
        return -_of_labels(queries.logits.sigmoid(), truth.labels)


@TASK_UTILS.register_module()
class BoxCost(MatchCost):
    """Distance of the boxes (cx, cy, w, h as fractions), of all frames of a
    clip as one vector.

    Args:
        weight (float): See :class:`MatchCost`. Defaults to 5.
        norm (float): 1 is the L1 distance of DETR, 2 the Euclidean one.
            Defaults to 1.
    """

    def __init__(self, weight: float = 5., norm: float = 1.) -> None:
        super().__init__(weight)
        self.norm = norm

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """See :class:`MatchCost`."""
        assert queries.boxes is not None
        own = queries.boxes.flatten(queries.logits.dim() - 1)
        target = truth.cxcywh.flatten(truth.labels.dim())
        lead = own.shape[:-2]
        return torch.cdist(own, target.expand(*lead, *target.shape[-2:]),
                           p=self.norm)


@TASK_UTILS.register_module()
class GIoUCost(MatchCost):
    """Minus the generalised IoU, in [-1, 1]; the mean over a clip's frames.

    Args:
        weight (float): See :class:`MatchCost`. Defaults to 2.
    """

    def __init__(self, weight: float = 2.) -> None:
        super().__init__(weight)

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """See :class:`MatchCost`."""
        assert queries.boxes is not None
        own = queries.logits.dim() - 1
        overlap = aligned_giou(
            bbox_cxcywh_to_xyxy(queries.boxes).unsqueeze(own),
            truth.xyxy.unsqueeze(truth.labels.dim() - 1))
        if overlap.dim() > own + 1:
            overlap = overlap.mean(-1)
        return -overlap


class CostSum:
    """Weighted sum of terms.

    Args:
        costs (dict[str, dict]): Terms by any names, such as ``dict(
            cls=dict(type='FocalCost', weight=2.))``; a config that builds on
            another one changes a term by its name.
    """

    def __init__(self, costs: dict[str, dict]) -> None:
        self.terms: dict[str, MatchCost] = {
            name: TASK_UTILS.build(term) for name, term in costs.items()
        }

    def __call__(self, queries: Queries, truth: Truth) -> Tensor:
        """Sum of the terms, (..., Q, G) float32, also under autocast."""
        with torch.autocast(queries.logits.device.type, enabled=False):
            queries = Queries._make(None if x is None else x.float()
                                    for x in queries)
            total = queries.logits.new_zeros(())
            for term in self.terms.values():
                total = total + term.weight * term(queries, truth)
        return total


def _of_labels(probs: Tensor, labels: Tensor) -> Tensor:
    """Probabilities (..., Q, K) of the objects' classes, (..., Q, G)."""
    shape = (*probs.shape[:-1], labels.shape[-1])
    return probs.gather(-1, labels[..., None, :].expand(shape))
