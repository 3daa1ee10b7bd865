"""What all memories share: the protocol, the state, rows in and out."""
from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor

from ....results.saved_values import saveable

S = TypeVar('S', bound='MemoryState')


@saveable
@dataclass(frozen=True)
class MemoryState:
    """What is remembered of M objects in each of B videos.

    A value: nothing changes it, so it may be kept, copied and gone back to.
    Axis 1 of every tensor are the objects.

    Attributes:
        embeds: (B, M, C) float, one vector an object.
        count: (B, M) int64, how often an object was written; 0 = never, and
            what is remembered of it are zeros.
    """
    embeds: Tensor
    count: Tensor

    def __len__(self) -> int:
        return self.count.shape[1]

    def take(self: S, rows: Tensor) -> S:
        """The state of some of the objects.

        Args:
            rows (Tensor): Shape (k,) int64, which ones, in which order.
        """
        return replace(self, **{
            name: held.index_select(1, rows)
            for name, held in self.tensors().items()
        })

    def extend(self: S, new: S) -> S:
        """The state with further objects behind those that it has."""
        added = new.tensors()
        return replace(self, **{
            name: torch.cat((held, added[name]), dim=1)
            for name, held in self.tensors().items()
        })

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


class Memory(Generic[S]):
    """Base of memories: embeddings of a frame change what is remembered.

    ``start() -> state``, ``read(state) -> embeddings`` and ``write(state,
    embeds, ...) -> state``. All are pure and differentiable, and none waits
    for the device: sizes come from shapes and from ``size``, which the caller
    knows. So a loss may be computed on what inference will remember, through
    the same class. Objects and videos do not influence each other.

    A memory defines :meth:`update`, and :meth:`blank` where its state has more
    tensors.
    """

    def start(self) -> S:
        """The state before the first frame: no objects."""
        return self.blank(torch.zeros(1, 0, 0), 0)

    def read(self, state: S) -> Tensor:
        """What new embeddings are compared with.

        Args:
            state (MemoryState): Of M objects.

        Returns:
            Tensor: Shape (B, M, C); zeros for objects never written.
        """
        return state.embeds

    def write(self,
              state: S,
              embeds: Tensor,
              rows: Tensor | None = None,
              weight: Tensor | None = None,
              size: int | None = None) -> S:
        """Remember the embeddings of a frame.

        Args:
            state (MemoryState): Stays as it is.
            embeds (Tensor): Shape (B, n, C). Kept in float32 or better.
            rows (Tensor, optional): Shape (B, n) int64, the object that an
                embedding belongs to, each at most once a video; -1 = none,
                it is not remembered. By default row i belongs to object i.
            weight (Tensor, optional): Shape (B, n), how far to trust an
                embedding, in [0, 1]; higher = it counts more, in memories
                that weight. By default 1.
            size (int, optional): Objects after the write, more than all
                ``rows`` and at least as many as the state has; those beyond
                start here. By default as many as the state has, or n where it
                has none.

        Returns:
            MemoryState: Of ``size`` objects.
        """
        if embeds.dtype in (torch.float16, torch.bfloat16):
            embeds = embeds.float()
        if size is None:
            size = len(state) or embeds.shape[1]
        if not len(state):  # it does not know width, type and device yet
            state = self.blank(embeds, size)
        elif size > len(state):
            state = state.extend(self.blank(embeds, size - len(state)))
        if weight is None:
            weight = embeds.new_ones(embeds.shape[:2])
        if rows is None:
            rows = torch.arange(embeds.shape[1], device=embeds.device)
            rows = rows.expand(embeds.shape[:2])
        source, written = row_sources(rows, size)
        state = self.update(state, take_rows(embeds, source), written,
                            take_rows(weight.to(embeds.dtype), source))
        return replace(state, count=state.count + written)

    def blank(self, embeds: Tensor, size: int) -> S:
        """The state of objects that were never written.

        Args:
            embeds (Tensor): Shape (B, n, C), tells batch, width, type, device.
            size (int): How many.
        """
        batch, _, width = embeds.shape
        return cast(S, MemoryState(
            embeds=embeds.new_zeros(batch, size, width),
            count=embeds.new_zeros((batch, size), dtype=torch.long)))

    def update(self, state: S, embeds: Tensor, written: Tensor,
               weight: Tensor) -> S:
        """The maths of a write, object by object.

        Nothing but sums and products of float32: mixed precision needs no
        care.

        Args:
            state (MemoryState): Of M objects, ``count`` before the write.
            embeds (Tensor): Shape (B, M, C), of each object; zeros where
                there is none.
            written (Tensor): Shape (B, M) bool, where there is one.
            weight (Tensor): Shape (B, M), as in :meth:`write`.

        Returns:
            MemoryState: ``count`` need not be changed.
        """
        raise NotImplementedError


def row_sources(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Which value goes to which object: the inverse of ``rows``.

    Args:
        rows (Tensor): Shape (B, n) int64, object of each value, -1 = none.
        size (int): M, number of objects.

    Returns:
        tuple[Tensor, Tensor]: Shape (B, M) int64, the value of each object, n
        where it has none; and (B, M) bool, whether it has one.
    """
    batch, count = rows.shape
    index = torch.where(rows < 0, size, rows)  # one object more, cut below
    source = rows.new_full((batch, size + 1), count)
    values = torch.arange(count, device=rows.device).expand(batch, count)
    source = source.scatter(1, index, values)[:, :size]
    return source, source < count


def take_rows(values: Tensor, source: Tensor) -> Tensor:
    """Values of a frame put to their objects, zeros where there is none.

    Args:
        values (Tensor): Shape (B, n, ...).
        source (Tensor): Shape (B, M), see :func:`row_sources`.

    Returns:
        Tensor: Shape (B, M, ...).
    """
    batch, _, *rest = values.shape
    padded = torch.cat((values, values.new_zeros(batch, 1, *rest)), dim=1)
    index = source.view(*source.shape, *[1] * len(rest))
    return padded.gather(1, index.expand(*source.shape, *rest))
