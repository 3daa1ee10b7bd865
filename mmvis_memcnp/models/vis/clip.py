"""Systems that see several frames at once, in windows or the whole video."""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Unpack

import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta, MaskSource
from ...results.saved_values import saveable
from ..trackers.clip_matching import ClipMatching, ClipState
from .arguments import check_counts
from .base import VIS, VISOptions
from .session import Item, VideoMeta


@saveable
class _Held(NamedTuple, Generic[Item]):
    """A frame that is not settled."""
    encoded: Item
    meta: FrameMeta


@saveable
@dataclass
class WindowState(Generic[Item]):
    """A video that goes through a :class:`ClipVIS`.

    Attributes:
        matching: what the windows so far say.
        video_length: number of frames, 0 if it is not known.
        held: frames that are not settled.
        first: position of the first frame that is held.
        next: where the next window starts.
        covered: frames that a window has seen.
    """
    matching: ClipState
    video_length: int = 0
    held: deque[_Held[Item]] = field(default_factory=deque)
    first: int = 0
    next: int = 0
    covered: int = 0

    def __len__(self) -> int:
        """Frames so far."""
        return self.first + len(self.held)


class ClipOptions(VISOptions, total=False):
    """Arguments that every such system takes; see :class:`ClipVIS`."""
    matcher: dict | None
    loss: dict | None
    window: dict | None
    max_bytes: int


class ClipVIS(VIS[WindowState[Item], Item]):
    """Base of systems that see several frames at once.

    A subclass says how single frames are encoded (:meth:`encode`) and how
    the instances of a run of encoded frames are found (:meth:`decode`). With
    ``window`` the video goes through overlapping windows, whose instances are
    matched, in bounded memory: a frame is settled when no later window can
    cover it. Without, the video is decoded as a whole when it ends; what is
    kept of each frame until then is :meth:`bytes_per_frame`, and
    ``max_bytes`` bounds it.

    Args:
        matcher (dict, optional): A :class:`OneToOneMatcher`; only training
            needs it.
        loss (dict, optional): Defaults to that of the system.
        window (dict, optional): :class:`ClipMatching`. Defaults to None, the
            whole video at once.
        max_bytes (int): What a whole video may keep, in bytes. Defaults to
            4 * 2**30 (4 GiB).
        kwargs: See :class:`VIS`.
    """

    #: A class with a sufficient score makes a track; an identity may have
    #: several.
    default_ranking = dict(type='LatestClass')
    #: Loss of the system where a config has none; None: it is not trained.
    default_loss: dict | None = None
    #: See ``results/pixels.py``.
    mask_way = 'nearest'
    mask_stride = 4

    def __init__(self,
                 *,
                 matcher: dict | None = None,
                 loss: dict | None = None,
                 window: dict | None = None,
                 max_bytes: int = 4 * 2**30,
                 **kwargs: Unpack[VISOptions]) -> None:
        super().__init__(**kwargs)
        check_counts(max_bytes=max_bytes)
        self.matcher = TASK_UTILS.build(matcher) if matcher else None
        loss = loss or self.default_loss
        self.clip_loss: Any = MODELS.build(loss) if loss else None
        self.window = MODELS.build(window) if window else None
        self.max_bytes = max_bytes
        self._bytes: dict[tuple[int, int], int] = {}

    def decode(self, encoded: list[Item],
               metas: list[FrameMeta]) -> InstanceData:
        """The instances of a run of frames.

        Args:
            encoded (list): T items of :meth:`encode`, of one input size.
            metas (list[FrameMeta]): Sizes of each.

        Returns:
            InstanceData: n instances: ``class_scores`` (n, K) in [0, 1],
            ``mask_logits`` (n, T, h, w) over the padded input, where the
            system finds boxes ``bboxes`` (n, T, 4) xyxy in original pixels
            and, with MemCNP, ``box_sigmas`` (n, T, 4) and ``uncertainties``
            (n, T).
        """
        raise NotImplementedError

    @torch.no_grad()
    def bytes_per_frame(self, input_hw: tuple[int, int]) -> int:
        """Bytes that a whole video keeps of each frame until it ends.

        They are those of an empty frame, which is encoded once a size.
        Decoding takes more on top; docs/long_videos.md has figures.

        Args:
            input_hw (tuple[int, int]): Height and width of the padded input.
        """
        if input_hw not in self._bytes:
            frame = next(self.parameters()).new_zeros(1, 3, *input_hw)
            self._bytes[input_hw] = _bytes_of(self.encode(frame, [FrameMeta(
                img_shape=input_hw, ori_shape=input_hw,
                batch_input_shape=input_hw, frame_id=0)]))
        return self._bytes[input_hw]

    def begin(self, video_meta: VideoMeta) -> WindowState[Item]:
        """See :meth:`VIS.begin`."""
        return WindowState(self._matching.start(),
                           int(video_meta.get('video_length', 0)))

    def admit(self, state: WindowState[Item], input_hw: tuple[int, int],
              metas: Sequence[FrameMeta]) -> None:
        """See :meth:`VIS.admit`: one size, and not too long as a whole.

        A whole video whose length is known is refused at its first frame.
        """
        known = state.held[-1].meta if state.held else metas[0]
        size = (tuple(known['batch_input_shape']),
                tuple(known['img_shape'][:2]))
        if any((input_hw, tuple(meta['img_shape'][:2])) != size
               for meta in metas):
            raise ValueError(
                f'The frames of a clip must have one size, here '
                f'{size[1][0]}x{size[1][1]} padded to {size[0][0]}x'
                f'{size[0][1]}: begin a new session for another size.')
        if self.window is not None:
            return
        total = max(len(state) + len(metas), state.video_length)
        each = self.bytes_per_frame(input_hw)
        if total * each > self.max_bytes:
            raise ValueError(
                f'{total} frames of {size[0][0]}x{size[0][1]} at '
                f'{each / 2**20:.1f} MiB a frame are more than the '
                f'{self.max_bytes / 2**20:.0f} MiB that a whole video may '
                'keep: take the video in windows (--cfg-options '
                'model.window.type=ClipMatching), take fewer frames, or raise '
                'model.max_bytes.')

    def advance(self, state: WindowState[Item], item: Item,
                meta: FrameMeta) -> list[FrameInstances]:
        """See :meth:`VIS.advance`: runs the window that is complete now."""
        state.held.append(_Held(item, meta))
        stop = state.next + self._matching.length
        if self.window is None or len(state) < stop:
            return []
        self._decode(state, state.next, stop)
        # The last window of the video may start a frame later than this one.
        settled = self._settle(state, state.next + 1)
        state.next += self._matching.stride
        return settled

    def drain(self, state: WindowState[Item]) -> list[FrameInstances]:
        """See :meth:`VIS.drain`."""
        if state.covered < len(state):
            length = len(state)
            if self.window is not None:
                length = min(length, self._matching.length)
            self._decode(state, len(state) - length, len(state))
        return self._settle(state, len(state))

    @property
    def _matching(self) -> ClipMatching:
        # A whole video is one window that nothing is matched with.
        return self.window or ClipMatching()

    def _decode(self, state: WindowState[Item], start: int, stop: int) -> None:
        """Run a window and identify its instances."""
        frames = list(state.held)[start - state.first:stop - state.first]
        instances = self.decode([f.encoded for f in frames],
                                [f.meta for f in frames])
        self._matching.step(state.matching, start, instances)
        state.covered = stop

    def _settle(self, state: WindowState[Item],
                stop: int) -> list[FrameInstances]:
        """The frames before ``stop``, which are let go."""
        settled = []
        while state.first < stop:
            tracked = self._matching.fuse(state.matching, state.first)
            settled.append(
                self.instances(tracked, state.held.popleft().meta))
            state.first += 1
        self._matching.settle(state.matching, stop)
        return settled

    def instances(self, tracked: InstanceData,
                  meta: FrameMeta) -> FrameInstances:
        """The value of a frame.

        Every identity that a window over this frame has is in it, also with
        an empty mask: the system has no score of a single frame. The scores
        are those of the windows so far.

        Args:
            tracked (InstanceData): What the windows say about a frame; see
                :meth:`ClipMatching.fuse`.
            meta (FrameMeta): Of the frame.
        """
        return FrameInstances(
            tracked.instances_id,
            MaskSource(tracked.mask_logits, meta, self.mask_way,
                       self.mask_stride),
            meta,
            class_scores=tracked.class_scores,
            boxes=tracked.get('bboxes'),
            sigmas=tracked.get('box_sigmas'),
            uncertainties=tracked.get('uncertainties'))


def _bytes_of(value: object) -> int:
    """Of the tensors in sequences of sequences."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(map(_bytes_of, value)) \
        if isinstance(value, (list, tuple)) else 0
