"""Tracker of O2VIS: existing objects first, then all of them."""
from __future__ import annotations

import torch.nn.functional as F
from mmdet.models.layers.transformer.utils import MLP
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import ConfigType
from mmengine.model import caffe2_xavier_init
from torch import Tensor, nn

from .anchor_layers import AnchorLayer
from .referring import read_frame
from .row_heads import RowHeads
from .rows import Rows, RowState, RowTracker, TrackedFrame, reorder

_SPACES = ('projected', 'raw')


@MODELS.register_module()
class OccupancyTracker(RowHeads):
    """Objects that a memory holds, and new ones in rows that are free.

    What is remembered of the objects asks the frame (T_E, eq 5): that finds
    those that were there before. Its result is matched with the queries of
    the frame, occupied rows first (eq 6), which leaves new objects to free
    rows. An anchor of memory and matched query (eq 7) asks the frame again
    (T_A, eq 8), for all objects; this is the result and, as far as it is an
    object, what is remembered (eqs 3 and 4). In the first frame its queries
    ask for themselves.

    Without T_A (``num_aligning`` 0; Table 3 (a), row 6), the result are the
    queries of the frame in the order of the objects, and these are
    remembered. Pure and differentiable; the state is a value. Source: O2VIS
    (ICLR 2025 submission), with what its published form adds: Lee et al.,
    LOMM, ICCV 2025.

    Args:
        num_classes (int): K.
        association (dict): Orders queries (TASK_UTILS), such as
            :class:`HungarianAssociation`.
        memory (dict): A :class:`~.memories.base.Memory` (TASK_UTILS).
        anchor (dict, optional): What T_A is asked with (TASK_UTILS), such as
            :class:`AdaptiveAnchor`, which is the default.
        num_existing (int): Layers of T_E. Defaults to 3.
        num_aligning (int): Layers of T_A, or 0. Defaults to 3.
        embed_dims (int): C, of the frames' queries. Defaults to 256.
        num_heads (int): Defaults to 8.
        feedforward_channels (int): Defaults to 2048.
        mask_dims (int): D, channels of the mask features. Defaults to 256.
        match_space (str): What is matched: 'projected' as released, both
            sides after the layers and the norm; 'raw', the letter of eq 6,
            the result of T_E and the queries of the frame. Defaults to
            'projected'.
    """

    def __init__(self,
                 num_classes: int,
                 association: ConfigType,
                 memory: ConfigType,
                 anchor: ConfigType | None = None,
                 num_existing: int = 3,
                 num_aligning: int = 3,
                 embed_dims: int = 256,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 mask_dims: int = 256,
                 match_space: str = 'projected') -> None:
        super().__init__(num_classes, embed_dims, mask_dims)
        if match_space not in _SPACES:
            raise ValueError(
                f'match_space must be one of {_SPACES}, got {match_space!r}.')
        self.objects = RowTracker(association, memory)
        self.anchor = TASK_UTILS.build(anchor or dict(type='AdaptiveAnchor'))
        sizes = embed_dims, num_heads, feedforward_channels
        self.existing = nn.ModuleList(
            AnchorLayer(*sizes) for _ in range(num_existing))
        self.aligning = nn.ModuleList(
            AnchorLayer(*sizes) for _ in range(num_aligning))
        self.ref_proj = MLP(embed_dims, embed_dims, embed_dims, 3)
        self.projected = match_space == 'projected'

    def init_weights(self) -> None:
        """As released."""
        super().init_weights()
        for layer in self.ref_proj.layers:
            caffe2_xavier_init(layer)

    @property
    def needs_presence(self) -> bool:
        """Whether :meth:`step` has to be told what is ``present``."""
        return not len(self.aligning) and self.objects.needs_presence

    def start(self) -> RowState:
        """The state before the first frame."""
        return self.objects.start()

    def step(self,
             state: RowState,
             queries: Tensor,
             hidden: Tensor,
             weight: Tensor | None = None,
             present: Tensor | None = None,
             order: Tensor | None = None) -> tuple[TrackedFrame, RowState]:
        """The objects in the next frame of B videos.

        Args:
            state (RowState): Before the frame; stays as it is.
            queries (Tensor): Shape (B, N, C), of the frames.
            hidden (Tensor): Shape (B, N, C), the same before the norm of the
                heads; read.
            weight, present (Tensor, optional): See :class:`RowTracker`; of
                the queries, for trackers without T_A.
            order (Tensor, optional): Shape (B, N) int64, the query of each
                object, in place of the matching: of early training.

        Returns:
            tuple[TrackedFrame, RowState]: And the state after it.
        """
        first = not len(state.memory)
        held = None if first else self.objects.memory.read(state.memory)
        existing = self._read(self.existing, hidden, held)
        current = self._current(queries, hidden)
        if order is None:
            sides = (self.norm(current), self.norm(existing[-1])) \
                if self.projected else (current, existing[-1])
            order = self.objects.match(state, *sides)
        found = self._predict(existing) if self.training else None
        if not len(self.aligning):
            tracked, state = self.objects.step(
                state, queries, hidden, weight, present, order)
            return tracked._replace(existing=found), state
        anchor = similarity = None
        if held is not None:
            matched = reorder(current, order)
            similarity = cosine(
                matched, self.norm(held) if self.projected else held)
            anchor = self.anchor(matched, held, similarity)
        rows = self._predict(self._read(self.aligning, hidden, anchor))
        probs = rows.logits[-1].float().softmax(-1)
        state = self.objects.remember(
            state, rows.hidden[-1], 1 - probs[..., -1],
            probs.argmax(-1) != probs.shape[-1] - 1)
        return TrackedFrame(order, rows, existing=found,
                            similarity=similarity), state

    def _read(self, layers: nn.ModuleList, hidden: Tensor,
              rows: Tensor | None = None) -> Tensor:
        return read_frame(layers, self.ref_proj, hidden, rows)

    def _current(self, queries: Tensor, hidden: Tensor) -> Tensor:
        """Queries of a frame (B, N, C) as they are matched."""
        if not self.projected:
            return queries
        return self._read(
            self.aligning if len(self.aligning) else self.existing,
            hidden)[-1]

    def _predict(self, states: Tensor) -> Rows:
        """Of all layers in training, else of the last."""
        if not self.training:
            states = states[-1:]
        return Rows(states, *self.predict(states))


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine (...) of vectors (..., C), in single precision."""
    return (F.normalize(first.float(), dim=-1) *
            F.normalize(second.float(), dim=-1)).sum(-1)
