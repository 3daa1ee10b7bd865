"""Tracker of O2VIS: existing objects first, then all of them."""
from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import ConfigType
from mmengine.model import ModuleList
from torch import Tensor, nn

from .referring import ReferringRows
from .rows import Rows, RowState, TrackedFrame, reorder

_SPACES = ('projected', 'raw')


@MODELS.register_module()
class OccupancyTracker(ReferringRows):
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
        anchor (dict, optional): What T_A is asked with (TASK_UTILS), such as
            :class:`AdaptiveAnchor`, which is the default.
        num_existing (int): Layers of T_E. Defaults to 3.
        num_aligning (int): Layers of T_A, or 0. Defaults to 3.
        match_space (str): What is matched: 'projected' as released, both
            sides after the layers and the norm; 'raw', the letter of eq 6,
            the result of T_E and the queries of the frame. Defaults to
            'projected'.
        kwargs: See :class:`ReferringRows`.
    """
    existing: ModuleList
    aligning: ModuleList

    def __init__(self,
                 *,
                 anchor: ConfigType | None = None,
                 num_existing: int = 3,
                 num_aligning: int = 3,
                 match_space: str = 'projected',
                 **kwargs: Any) -> None:
        super().__init__(
            stacks=dict(existing=num_existing, aligning=num_aligning),
            **kwargs)
        if match_space not in _SPACES:
            raise ValueError(
                f'match_space must be one of {_SPACES}, got {match_space!r}.')
        self.anchor = TASK_UTILS.build(anchor or dict(type='AdaptiveAnchor'))
        self.projected = match_space == 'projected'

    @property
    def needs_presence(self) -> bool:
        """With T_A it knows what is present by itself."""
        return not self.aligning and super().needs_presence

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
        # What is remembered is single precision, in a cast model as well.
        held = self.objects.memory.read(state.memory).to(
            self.norm.weight.dtype) if len(state.memory) else None
        existing = self.read(self.existing, hidden, held)
        current = self.read(self.aligning or self.existing, hidden)[-1] \
            if self.projected else queries
        norm = self.norm if self.projected else nn.Identity()
        if order is None:
            order = self.objects.match(
                state, norm(current), norm(existing[-1]))
        found = self._predict(existing) if self.training else None
        if not self.aligning:
            tracked, state = self.objects.step(
                state, queries, hidden, weight, present, order)
            return tracked._replace(existing=found), state
        anchor = similarity = None
        if held is not None:
            matched = reorder(current, order)
            similarity = F.cosine_similarity(
                matched.float(), norm(held).float(), -1)
            anchor = self.anchor(matched, held, similarity.to(held))
        rows = self._predict(self.read(self.aligning, hidden, anchor))
        probs = rows.logits[-1].float().softmax(-1)
        state = self.objects.remember(
            state, rows.hidden[-1], 1 - probs[..., -1],
            probs.argmax(-1) != probs.shape[-1] - 1)
        return TrackedFrame(order, rows, existing=found,
                            similarity=similarity), state

    def _predict(self, states: Tensor) -> Rows:
        """Of all layers in training, else of the last."""
        if not self.training:
            states = states[-1:]
        return Rows(states, *self.predict(states))
