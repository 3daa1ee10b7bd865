"""Tracker of queries: N of them stay N of them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import ConfigType
from torch import Tensor, nn

from ...results.saved_values import saveable
from .memories.base import MemoryState


@saveable
@dataclass(frozen=True)
class RowState:
    """What is remembered of N objects in each of B videos.

    Attributes:
        memory: of the objects.
        occupied: (B, N) bool, whether an object was ever present; None as
            long as that is not told.
    """
    memory: MemoryState
    occupied: Tensor | None = None


class Rows(NamedTuple):
    """N rows of B frames after L layers.

    Attributes:
        hidden: (L, B, N, C).
        logits: (L, B, N, K + 1).
        mask_embeds: (L, B, N, D), weights of the tracker's mask features.
    """
    hidden: Tensor
    logits: Tensor
    mask_embeds: Tensor


class TrackedFrame(NamedTuple):
    """What a tracker makes of the N queries of B frames; row n is object n.

    Attributes:
        order: (B, N) int64, the query that was matched to each object.
        rows: the objects in the frame; None where the segmenter's queries in
            this order are the result.
        reference: (B, N, C), what the rows asked with, where classes are read
            from it.
        existing: what of the objects was there before, in training.
        similarity: (B, N) in [-1, 1], of each object and its query; None in
            the first frame.
    """
    order: Tensor
    rows: Rows | None
    reference: Tensor | None = None
    existing: Rows | None = None
    similarity: Tensor | None = None


@MODELS.register_module()
class RowTracker(nn.Module):
    """Orders the queries of each frame as the objects that are remembered.

    No object starts or ends: the first frame's order holds for the video, and
    the class scores say what is there. With :class:`LatestMemory` this is
    MinVIS (Huang et al., NeurIPS 2022); other memories, and
    ``occupied_first``, are rows (2) to (5) of Table 3 (a) of O2VIS. Pure and
    differentiable; the assignment itself has no gradient and is the only
    thing that waits for the device.

    Args:
        association (dict): Orders queries (TASK_UTILS), such as
            :class:`HungarianAssociation`.
        memory (dict): A :class:`~.memories.base.Memory` (TASK_UTILS).
    """

    def __init__(self, association: ConfigType, memory: ConfigType) -> None:
        super().__init__()
        self.association = TASK_UTILS.build(association)
        self.memory = TASK_UTILS.build(memory)
        # Of trackers that learn, a projection of the mask features.
        self.mask_proj = nn.Identity()

    @property
    def needs_presence(self) -> bool:
        """Whether :meth:`step` has to be told what is ``present``."""
        return getattr(self.association, 'occupied_first', False)

    def start(self) -> RowState:
        """The state before the first frame."""
        return RowState(self.memory.start())

    def step(self,
             state: RowState,
             queries: Tensor,
             hidden: Tensor | None = None,
             weight: Tensor | None = None,
             present: Tensor | None = None,
             order: Tensor | None = None) -> tuple[TrackedFrame, RowState]:
        """Order the queries of the next frame of B videos.

        Args:
            state (RowState): Before the frame; stays as it is.
            queries (Tensor): Shape (B, N, C), as the segmenter gives them.
            hidden (Tensor, optional): Shape (B, N, C), the same before the
                norm of the heads; for trackers that read them.
            weight (Tensor, optional): Shape (B, N) in [0, 1], how far a query
                shows an object, for memories that weight. By default 1.
            present (Tensor, optional): Shape (B, N) bool, whether a query
                shows an object, for ``occupied_first``. An object that was
                once present stays occupied.
            order (Tensor, optional): Shape (B, N) int64, the query of each
                object, where it is known.

        Returns:
            tuple[TrackedFrame, RowState]: ``order`` (B, N) int64, query
            ``order[b, n]`` is object n (see :func:`reorder`); and the state
            after the frame.

        Raises:
            ValueError: See :meth:`match`.
        """
        if order is None:
            order = self.match(state, queries)
        if weight is not None:
            weight = reorder(weight, order)
        if present is not None:
            present = reorder(present, order)
        return TrackedFrame(order, None), self.remember(
            state, reorder(queries, order), weight, present)

    def match(self, state: RowState, embeds: Tensor,
              objects: Tensor | None = None) -> Tensor:
        """The query of each object; as they come in the first frame.

        Args:
            state (RowState): Before the frame.
            embeds (Tensor): Shape (B, N, C), queries of the frame.
            objects (Tensor, optional): Shape (B, N, C), what they are
                compared with. By default what the memory holds.

        Returns:
            Tensor: Shape (B, N) int64.

        Raises:
            ValueError: If the number of queries changes in a video.
        """
        batch, count = embeds.shape[:2]
        held = state.memory
        if not len(held):
            order = torch.arange(count, device=embeds.device)
            return order.expand(batch, count)
        if held.count.shape != (batch, count):
            raise ValueError(
                f'{batch} videos with {count} queries came after '
                f'{held.count.shape[0]} with {held.count.shape[1]}: start a '
                'new state where the videos or the segmenter change.')
        if objects is None:
            objects = self.memory.read(held)
        return self.association(objects, embeds, state.occupied)

    def remember(self, state: RowState, embeds: Tensor,
                 weight: Tensor | None = None,
                 present: Tensor | None = None) -> RowState:
        """The state after a frame.

        Args:
            state (RowState): Before the frame; stays as it is.
            embeds, weight, present: See :meth:`step`, by object.
        """
        memory = self.memory.write(state.memory, embeds, weight=weight)
        if present is not None and state.occupied is not None:
            present = present | state.occupied
        return RowState(
            memory, state.occupied if present is None else present)


def reorder(values: Tensor, order: Tensor) -> Tensor:
    """Values of a frame's queries in the order of the objects.

    Args:
        values (Tensor): Shape (B, N, ...), by query.
        order (Tensor): Shape (B, n) int64, the query of each object.

    Returns:
        Tensor: Shape (B, n, ...), by object.
    """
    index = order.view(*order.shape, *[1] * (values.dim() - 2))
    return values.gather(1, index.expand(*order.shape, *values.shape[2:]))
