"""Identities across overlapping windows of a video (IFC, Hwang et al. 2021).

Window by window: :class:`ClipMatching` says which instance of a window is
which of the earlier ones, and fuses what the windows say about a frame.
"""
from dataclasses import dataclass, field

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ...results.saved_values import saveable

#: Fields of a window that have a value a frame, (n, T, ...).
PER_FRAME = ('mask_logits', 'bboxes', 'box_sigmas', 'uncertainties')


@saveable
@dataclass
class ClipWindow:
    """Instances of frames ``start`` to ``stop - 1``, with identities."""
    start: int
    instances: InstanceData
    ids: Tensor

    @property
    def stop(self) -> int:
        """The frame after the last."""
        return self.start + self.instances.mask_logits.shape[1]


@saveable
@dataclass
class ClipState:
    """What is remembered of a video: the windows that still matter.

    Attributes:
        windows: those with frames that are not settled.
        ids: (m,) int64, ascending, the identities in these windows.
        class_sums: (m, K), class scores summed over all windows of each.
        counts: (m,), number of these windows.
        next_id: the first identity that was never given.
    """
    windows: list[ClipWindow] = field(default_factory=list)
    ids: Tensor | None = None
    class_sums: Tensor | None = None
    counts: Tensor | None = None
    next_id: int = 0


@MODELS.register_module()
class ClipMatching:
    """Windows of a fixed length, matched by the soft IoU of their masks.

    The windows start at frames 0, ``stride``, 2 ``stride`` and so on; the
    last one is moved back to end with the video. Two instances are alike by
    the IoU of their mask probabilities on the frames that the windows share,
    averaged over the earlier windows that have the identity. The Hungarian
    assignment maximises the sum; what is left opens a new identity.

    Args:
        length (int): Frames of a window. Defaults to 5.
        stride (int): Frames between the starts of two windows, at most
            ``length``. Defaults to 1.
        match_thr (float): Soft IoU that a match must exceed. Defaults to
            0.01, as SeqFormer does; IFC takes 0.05.
    """

    def __init__(self,
                 length: int = 5,
                 stride: int = 1,
                 match_thr: float = 0.01) -> None:
        if not 1 <= stride <= length:
            raise ValueError(
                f'Windows of {length} frames cannot start every {stride} '
                'frames: set 1 <= stride <= length.')
        self.length = length
        self.stride = stride
        self.match_thr = match_thr

    def start(self) -> ClipState:
        """The state of a video before its first window."""
        return ClipState()

    def soft_iou(self, state: ClipState, start: int,
                 mask_logits: Tensor) -> Tensor:
        """How alike remembered identities and new instances are.

        Args:
            state (ClipState): Remembered windows.
            start (int): First frame of the new window.
            mask_logits (Tensor): Shape (n, T, h, w), of the new window.

        Returns:
            Tensor: Shape (m, n), rows as ``state.ids``; 0 where an identity
            shares no frame.
        """
        if state.ids is None:
            return mask_logits.new_zeros(0, len(mask_logits),
                                         dtype=torch.float32)
        total = mask_logits.new_zeros(len(state.ids), len(mask_logits),
                                      dtype=torch.float32)
        count = total.new_zeros(len(state.ids))
        for window in state.windows:
            shared = window.stop - start
            if shared <= 0 or not len(window.ids):
                continue
            old, new = (x.float().sigmoid().flatten(1) for x in (
                window.instances.mask_logits[:, start - window.start:],
                mask_logits[:, :shared]))
            with torch.autocast(old.device.type, enabled=False):
                inter = old @ new.T
            union = old.sum(1)[:, None] + new.sum(1) - inter
            rows = torch.searchsorted(state.ids, window.ids)
            total.index_add_(0, rows, inter / (union + 1e-6))
            count.index_add_(0, rows, torch.ones_like(rows, dtype=count.dtype))
        return total / count.clamp(min=1)[:, None]

    @torch.no_grad()
    def step(self, state: ClipState, start: int,
             instances: InstanceData) -> Tensor:
        """Identify the instances of the next window.

        Args:
            state (ClipState): Moved on by this window.
            start (int): First frame of the window.
            instances (InstanceData): n instances with ``mask_logits``
                (n, T, h, w), ``class_scores`` (n, K) and further fields of
                ``PER_FRAME``.

        Returns:
            Tensor: Identities (n,) int64.
        """
        alike = self.soft_iou(state, start, instances.mask_logits)
        alike = torch.where(alike > self.match_thr, alike, 0.)
        rows, columns = (
            torch.from_numpy(index).to(alike.device)
            for index in linear_sum_assignment(alike.cpu(), maximize=True))
        good = alike[rows, columns] > 0
        ids = rows.new_full((len(instances), ), -1)
        if state.ids is not None:
            ids[columns[good]] = state.ids[rows[good]]
        new = ids < 0
        opened = int(new.sum())
        ids[new] = torch.arange(opened, device=ids.device) + state.next_id
        state.next_id += opened
        state.windows.append(ClipWindow(start, instances, ids))
        self._count(state, ids, instances.class_scores)
        return ids

    def fuse(self, state: ClipState, frame: int) -> InstanceData:
        """What all remembered windows say about a frame.

        Args:
            state (ClipState): Remembered windows.
            frame (int): Position in the video.

        Returns:
            InstanceData: The identities in windows over this frame:
            ``instances_id`` (k,) ascending, the fields of ``PER_FRAME``
            averaged over these windows, ``class_scores`` (k, K) averaged over
            all windows of the identity so far.
        """
        windows = [w for w in state.windows if w.start <= frame < w.stop]
        assert windows and state.ids is not None
        assert state.class_sums is not None and state.counts is not None
        ids, rows = torch.cat([w.ids for w in windows]).unique(
            return_inverse=True)
        count = torch.bincount(rows, minlength=len(ids))
        known = torch.searchsorted(state.ids, ids)
        out = InstanceData(
            instances_id=ids,
            class_scores=state.class_sums[known] /
            state.counts[known][:, None])
        for name in PER_FRAME:
            if name not in windows[0].instances:
                continue
            # In half precision a sum of windows rounds, and can overflow.
            values = torch.cat(
                [w.instances[name][:, frame - w.start].float()
                 for w in windows])
            mean = values.new_zeros(len(ids), *values.shape[1:]).index_add_(
                0, rows, values)
            out[name] = mean / count.view(-1, *[1] * (values.dim() - 1))
        return out

    def settle(self, state: ClipState, frame: int) -> None:
        """Forget the windows that end before a frame."""
        state.windows = [w for w in state.windows if w.stop > frame]

    @staticmethod
    def _count(state: ClipState, ids: Tensor, class_scores: Tensor) -> None:
        """Add the class scores of the newest window to those before."""
        live = torch.cat([w.ids for w in state.windows]).unique()
        sums = class_scores.new_zeros(len(live), class_scores.shape[1])
        counts = class_scores.new_zeros(len(live))
        if state.ids is not None:
            assert state.class_sums is not None and state.counts is not None
            kept = torch.isin(state.ids, live)
            old = torch.searchsorted(live, state.ids[kept])
            sums[old] = state.class_sums[kept]
            counts[old] = state.counts[kept]
        rows = torch.searchsorted(live, ids)
        state.ids = live
        state.class_sums = sums.index_add_(0, rows, class_scores)
        state.counts = counts.index_add_(0, rows, torch.ones_like(
            rows, dtype=counts.dtype))
