"""Rows that stay the objects of a video and ask every frame: DVIS++."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.model import ModuleList, caffe2_xavier_init
from torch import Tensor, nn

from ...results.saved_values import saveable
from .row_heads import RowHeads
from .rows import Rows, RowState, RowTracker, TrackedFrame, reorder


@saveable
@dataclass(frozen=True)
class ReferringState:
    """What is remembered of N objects in each of B videos.

    Attributes:
        rows: of their order.
        hidden: (B, N, C), the rows of the last frame; None before the first.
    """
    rows: RowState
    hidden: Tensor | None = None


class ReferringRows(RowHeads):
    """Base of trackers whose rows refer to the queries of a frame.

    Args:
        association (dict): See :class:`RowTracker`.
        memory (dict): See there.
        stacks (dict[str, int]): Numbers of layers by the name of their stack.
        kwargs: See :class:`RowHeads`.
    """

    def __init__(self, *, association: ConfigType, memory: ConfigType,
                 stacks: dict[str, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.objects = RowTracker(association, memory)
        for name, count in stacks.items():
            self.add_module(name, self.stack(count))
        dims = self.layer_sizes[0]
        self.ref_proj = MLP(dims, dims, dims, 3)

    def init_weights(self) -> None:
        """As released."""
        super().init_weights()
        for layer in self.ref_proj.layers:
            caffe2_xavier_init(layer)

    @property
    def needs_presence(self) -> bool:
        """See :class:`RowTracker`."""
        return self.objects.needs_presence

    def read(self, layers: Iterable[nn.Module], frame: Tensor,
             rows: Tensor | None = None,
             start: Tensor | None = None) -> Tensor:
        """Rows after each layer that refers to a frame.

        A row only asks: what it reads is added to what the layers before have
        read, so that its content is that of the frame.

        Args:
            layers (Iterable[nn.Module]): A stack of L.
            frame (Tensor): Shape (B, N, C), queries of the frame.
            rows (Tensor, optional): Shape (B, N, C), objects that ask, the
                same in all layers. By default the queries of the frame ask
                for themselves, and what each layer read asks in the next.
            start (Tensor, optional): Shape (B, N, C), what the first layer
                adds to; by default nothing.

        Returns:
            Tensor: Shape (L, B, N, C).
        """
        read = torch.zeros_like(frame) if start is None else start
        asked = None if rows is None else self.ref_proj(rows)
        states: list[Tensor] = []
        for layer in layers:
            reference = self.ref_proj(states[-1] if states else frame) \
                if asked is None else asked
            read = layer(reference, None, frame, None, None, read)
            states.append(read)
        return torch.stack(states)


@MODELS.register_module()
class ReferringTracker(ReferringRows):
    """Tracker of DVIS++: what an object was asks what it is.

    The queries of a frame are put in the order of the objects, then layers
    add to them what the objects of the last frame read in the frame. Pure and
    differentiable; the state is a value. Source: Zhang et al., DVIS++, 2023;
    without the noise that its training adds to the order.

    Args:
        num_layers (int): L. Defaults to 6.
        kwargs: See :class:`ReferringRows`.
    """
    layers: ModuleList

    def __init__(self, *, num_layers: int = 6, **kwargs: Any) -> None:
        super().__init__(stacks=dict(layers=num_layers), mask_proj=True,
                         by_reference=True, **kwargs)

    def start(self) -> ReferringState:
        """The state before the first frame."""
        return ReferringState(self.objects.start())

    def step(self,
             state: ReferringState,
             queries: Tensor,
             hidden: Tensor,
             weight: Tensor | None = None,
             present: Tensor | None = None,
             order: Tensor | None = None
             ) -> tuple[TrackedFrame, ReferringState]:
        """The objects in the next frame of B videos.

        Args:
            state (ReferringState): Before the frame; stays as it is.
            queries (Tensor): Shape (B, N, C), of the frames; ordered by.
            hidden (Tensor): Shape (B, N, C), the same before the norm of the
                heads; read.
            weight, present, order (Tensor, optional): See
                :class:`RowTracker`.

        Returns:
            tuple[TrackedFrame, ReferringState]: And the state after it.
        """
        ordered, rows = self.objects.step(
            state.rows, queries, hidden, weight, present, order)
        order = ordered.order
        states = self.read(self.layers, hidden, state.hidden,
                           reorder(hidden, order))
        reference = self.ref_proj(
            hidden if state.hidden is None else state.hidden)
        found = self.predict(states, reference.expand_as(states))
        return (TrackedFrame(order, Rows(states, *found), reference),
                ReferringState(rows, states[-1]))
