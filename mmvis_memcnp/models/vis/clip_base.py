"""Video instance segmentation by clips, behind the session of a stream."""
from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame_result import frame_result
from ...results.masks import encode_masks
from ...results.scoring import LatestClassScoring, VideoScoring
from ...results.sinks import Sink
from ...results.store import TrackStore, VideoResult
from ..layers.restore_masks import restore_masks
from ..trackers.clip_matching import ClipMatching
from .base import CHUNK, OnlineVIS


class ClipVIS(OnlineVIS):
    """Base of systems that see several frames at once.

    A subclass says how single frames are encoded (:meth:`encode`) and how
    the instances of a run of encoded frames are found (:meth:`decode`). With
    ``window`` the video goes through overlapping windows, whose instances are
    matched, in bounded memory. Without, it is decoded as a whole when it
    ends; what is kept of each frame until then is
    :meth:`bytes_per_frame`, and ``max_bytes`` bounds it.

    Args:
        window (dict, optional): :class:`ClipMatching`. Defaults to None, the
            whole video at once.
        max_bytes (int): What a whole video may keep. Defaults to 4 GiB.
        score_thr (float): A class with a larger score makes a track; an
            identity may have several. Defaults to 0.05.
        kwargs: See :class:`OnlineVIS`.
    """

    def __init__(self,
                 *,
                 window: dict | None = None,
                 max_bytes: int = 4 * 2**30,
                 score_thr: float = 0.05,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.window = MODELS.build(window) if window else None
        self.max_bytes = max_bytes
        self.score_thr = score_thr

    def encode(self, frames: Tensor, metas: list[dict]) -> list[Any]:
        """What is kept of single frames.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (list[dict]): Sizes of each.

        Returns:
            list: T items for :meth:`decode`.
        """
        raise NotImplementedError

    def decode(self, encoded: list[Any], metas: list[dict]) -> InstanceData:
        """The instances of a run of frames.

        Args:
            encoded (list): T items of :meth:`encode`, of one input size.
            metas (list[dict]): Sizes of each.

        Returns:
            InstanceData: n instances: ``class_scores`` (n, K) in [0, 1],
            ``mask_logits`` (n, T, h, w) over the padded input, ``bboxes``
            (n, T, 4) xyxy in original pixels and, with MemCNP,
            ``box_sigmas`` (n, T, 4).
        """
        raise NotImplementedError

    def bytes_per_frame(self, input_hw: tuple[int, int]) -> int:
        """Bytes that a whole video keeps of each frame until it ends.

        Args:
            input_hw (tuple[int, int]): Height and width of the padded input.
        """
        raise NotImplementedError

    def render(self, tracked: InstanceData, meta: dict) -> InstanceData:
        """What leaves a step: masks become run-length codes, on the CPU.

        Args:
            tracked (InstanceData): What the windows say about a frame; see
                :meth:`ClipMatching.fuse`.
            meta (dict): ``img_shape``, ``batch_input_shape``, ``ori_shape``
                and ``frame_id``.

        Returns:
            InstanceData: A FrameResult. Every identity that a window over
            this frame has is in it, also with an empty mask: the system has
            no score of a single frame. ``scores``, ``labels`` and
            ``class_scores`` are those of the windows so far.
        """
        masks = restore_masks(tracked.mask_logits, meta['batch_input_shape'],
                              meta['img_shape'][:2], meta['ori_shape'][:2])
        scores, labels = tracked.class_scores.max(dim=1)
        return frame_result(
            tracked.instances_id, tracked.bboxes, scores, labels,
            encode_masks(masks),
            ori_shape=meta['ori_shape'][:2], frame_id=meta['frame_id'],
            box_sigmas=tracked.get('box_sigmas'),
            class_scores=tracked.class_scores)

    def video_scoring(self) -> VideoScoring:
        """Every class above ``score_thr`` becomes a track."""
        return LatestClassScoring(self.score_thr)

    def start(self,  # type: ignore[override]
              video_meta: dict | None = None,
              sink: Sink | None = None) -> ClipSession:
        """Begin a video; see :meth:`OnlineVIS.start`.

        ``video_meta['video_length']``, if given, lets a video that is too
        long as a whole be refused at its first frame.
        """
        return ClipSession(self, video_meta,
                           TrackStore(sink, self.video_scoring()))


class _Held(NamedTuple):
    """A frame that is not settled."""
    encoded: Any
    meta: dict


class ClipSession:
    """The state of one video of a :class:`ClipVIS`.

    Results come late: a frame's when no later window can cover it, or all of
    them with :meth:`flush`. They carry their ``frame_id``.

    Args:
        model: the system; not changed by the session.
        video_meta: anything known of the video.
        store: collects the results.
    """

    def __init__(self, model: ClipVIS, video_meta: dict | None,
                 store: TrackStore) -> None:
        self.model = model
        self.video_meta = dict(video_meta or {})
        self.store = store
        # A whole video is one window that nothing is matched with.
        self.matching = model.window or ClipMatching()
        self.state = self.matching.start()
        self._held: deque[_Held] = deque()
        self._first = 0  # position of the first frame that is held
        self._next = 0  # where the next window starts
        self._covered = 0  # frames that a window has seen
        self._ended = False

    def __len__(self) -> int:
        """Frames so far."""
        return self._first + len(self._held)

    @torch.no_grad()
    def step(self, frames: Tensor, metas: list[dict]) -> list[InstanceData]:
        """Take the next frames.

        Args:
            frames: (T, 3, H, W) normalised and padded.
            metas: ``img_shape``, ``ori_shape`` and, if other than its
                position, ``frame_id`` of each.

        Returns:
            Results of the frames that are settled now, in order, maybe none;
            see :meth:`ClipVIS.render`.

        Raises:
            ValueError: If the video has ended, changes its size or is too
                long to be taken as a whole.
        """
        if len(frames) != len(metas):
            raise ValueError(f'{len(frames)} frames came with {len(metas)} '
                             'metas: give one meta a frame.')
        if self._ended:
            raise ValueError('This video has ended: begin a new session for '
                             'further frames.')
        self._check(frames, metas)
        results = []
        for at in range(0, len(frames), CHUNK):
            part = slice(at, at + CHUNK)
            for encoded, meta in zip(
                    self.model.encode(frames[part], metas[part]), metas[part],
                    strict=True):
                self._held.append(
                    _Held(
                        encoded,
                        dict(
                            meta,
                            batch_input_shape=tuple(frames.shape[-2:]),
                            frame_id=int(meta.get('frame_id', len(self))))))
                results += self._advance()
        return results

    @torch.no_grad()
    def flush(self) -> list[InstanceData]:
        """End the video; returns the results that are still due."""
        self._ended = True
        if self._covered < len(self):
            length = len(self)
            if self.model.window is not None:
                length = min(length, self.matching.length)
            self._decode(len(self) - length, len(self))
        return self._settle(len(self))

    def finish(self) -> VideoResult:
        """End the video: tracks with video-level scores and labels."""
        self.flush()
        return self.store.finish()

    def _advance(self) -> list[InstanceData]:
        """Run the window that the newest frame completes, if any."""
        stop = self._next + self.matching.length
        if self.model.window is None or len(self) < stop:
            return []
        self._decode(self._next, stop)
        # The last window of the video may start a frame later than this one.
        results = self._settle(self._next + 1)
        self._next += self.matching.stride
        return results

    def _decode(self, start: int, stop: int) -> None:
        """Run a window and identify its instances."""
        frames = list(self._held)[start - self._first:stop - self._first]
        instances = self.model.decode([f.encoded for f in frames],
                                      [f.meta for f in frames])
        self.matching.step(self.state, start, instances)
        self._covered = stop

    def _settle(self, stop: int) -> list[InstanceData]:
        """Results of the frames before ``stop``, which are let go."""
        results = []
        while self._first < stop:
            tracked = self.matching.fuse(self.state, self._first)
            results.append(
                self.model.render(tracked, self._held.popleft().meta))
            self.store.append(results[-1])
            self._first += 1
        self.matching.settle(self.state, stop)
        return results

    def _check(self, frames: Tensor, metas: list[dict]) -> None:
        """Refuse a video that changes its size or is too long."""
        if not metas:
            return
        known = self._held[-1].meta if self._held else dict(
            metas[0], batch_input_shape=tuple(frames.shape[-2:]))
        size = known['batch_input_shape'], tuple(known['img_shape'][:2])
        if any((tuple(frames.shape[-2:]), tuple(meta['img_shape'][:2])) != size
               for meta in metas):
            raise ValueError(
                f'The frames of a clip must have one size, here '
                f'{size[1][0]}x{size[1][1]} padded to {size[0][0]}x'
                f'{size[0][1]}: begin a new session for another size.')
        if self.model.window is not None:
            return
        total = max(len(self) + len(metas),
                    int(self.video_meta.get('video_length', 0)))
        each = self.model.bytes_per_frame(size[0])
        if total * each > self.model.max_bytes:
            raise ValueError(
                f'{total} frames of {size[0][0]}x{size[0][1]} at '
                f'{each / 2**20:.1f} MiB a frame are more than the '
                f'{self.model.max_bytes / 2**20:.0f} MiB that a whole video '
                'may keep: take the video in windows (--cfg-options '
                'model.window.type=ClipMatching), take fewer frames, or raise '
                'model.max_bytes.')
