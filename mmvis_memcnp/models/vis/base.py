"""What every video instance segmentation system is: four calls and a loss."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel
from torch import Tensor, nn

from ...results.filters import TrackFilter
from ...results.frame import FrameInstances
from ...results.pixels import FrameMeta
from ...results.ranking import Ranking
from ...results.sigma_map import SigmaMap
from ...results.sinks import Sink
from .session import Session


class VIS(BaseModel):
    """Base of all systems.

    The module holds nothing of a video: :meth:`begin` gives a state, a value
    that the other calls move on, so that any number of videos can be followed
    side by side. :class:`Session` is the loop over these calls::

        state = model.begin(video_meta)
        items = model.encode(frames, metas)
        settled = model.advance(state, item, meta)
        settled = model.drain(state)

    Args:
        ranking (dict, optional): How the scores of frames make those of the
            video (TASK_UTILS); see ``results/ranking.py``. Defaults to the
            system's own.
        track_filter (dict, optional): Which identities leave the result
            (TASK_UTILS); see ``results/filters.py``. Defaults to None, none.
        sigma_map (dict, optional): Arguments of a
            :class:`~mmvis_memcnp.results.SigmaMap`, by which the results'
            standard deviations are mapped. Tools take it from the checkpoint
            where the config says nothing. Defaults to None, none.
        data_preprocessor (dict, optional): Normalises and pads; see mmdet's
            ``TrackDataPreprocessor``.
        init_cfg (dict, optional): Initial weights.
    """

    #: The ranking of the system where the config names none.
    default_ranking: Mapping[str, Any] = dict(type='MajorityLabel')

    def __init__(self,
                 *,
                 ranking: dict | None = None,
                 track_filter: dict | None = None,
                 sigma_map: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.ranking = dict(ranking or self.default_ranking)
        self.track_filter = dict(track_filter) if track_filter else None
        self.sigma_map = SigmaMap(**sigma_map) if sigma_map else None
        # Names a typing error now and not after a training.
        self.new_ranking()
        self.new_filter()

    # -- a video ------------------------------------------------------------
    def begin(self, video_meta: Mapping[str, Any]) -> Any:
        """The state of a video before its first frame.

        Args:
            video_meta (Mapping): What is known of the video, maybe nothing;
                ``video_length``, the number of frames.
        """
        raise NotImplementedError

    def admit(self, state: Any, input_hw: tuple[int, int],
              metas: Sequence[FrameMeta]) -> None:
        """Refuse frames that the system cannot take, before any work.

        Args:
            state (Any): Of the video; not changed.
            input_hw (tuple[int, int]): Size of the padded input.
            metas (Sequence[Mapping]): Of the next frames, at least one.

        Raises:
            ValueError: If they do not suit.
        """

    def encode(self, frames: Tensor, metas: Sequence[FrameMeta]
               ) -> Sequence[Any]:
        """Everything that needs no other frame.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (Sequence[Mapping]): ``img_shape``, ``ori_shape``,
                ``batch_input_shape``, ``frame_id`` and, where frames were
                resized, ``scale_factor`` of each.

        Returns:
            Sequence: An item a frame, for :meth:`advance`.
        """
        raise NotImplementedError

    def advance(self, state: Any, item: Any,
                meta: FrameMeta) -> list[FrameInstances]:
        """Take the next frame.

        Args:
            state (Any): Of the video; moved on.
            item (Any): Of :meth:`encode`.
            meta (Mapping): Of the frame.

        Returns:
            list[FrameInstances]: The frames that are settled by it, in order:
            one, none or several.
        """
        raise NotImplementedError

    def drain(self, state: Any) -> list[FrameInstances]:
        """The video has ended.

        Args:
            state (Any): Of the video; moved on.

        Returns:
            list[FrameInstances]: The frames that were not settled yet.
        """
        return []

    def new_ranking(self) -> Ranking:
        """A ranking for one video."""
        return TASK_UTILS.build(self.ranking)

    def new_filter(self) -> TrackFilter | None:
        """A filter of tracks for one video."""
        return TASK_UTILS.build(self.track_filter) \
            if self.track_filter else None

    def session(self,
                video_meta: Mapping[str, Any] | None = None,
                sink: Sink | None = None) -> Session:
        """Begin a video.

        Args:
            video_meta (Mapping, optional): See :meth:`begin`.
            sink (Sink, optional): Keeps the masks; in memory by default.
        """
        return Session(self, video_meta, sink)

    # -- mmengine -----------------------------------------------------------
    def forward(self,
                inputs: Tensor,
                data_samples: list[TrackDataSample] | None = None,
                mode: str = 'tensor') -> Any:
        """Entry point of mmengine.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W), normalised, padded clips.
            data_samples (list[TrackDataSample], optional): Annotations and
                sizes of the N clips.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.

        Raises:
            ValueError: If the mode is unknown or the input is not 5-D.
        """
        if inputs.dim() != 5:
            raise ValueError('The input must be clips of shape (N, T, 3, H, '
                             f'W), got {tuple(inputs.shape)}.')
        if mode == 'tensor':
            return self._forward(inputs)
        if data_samples is None:
            raise ValueError(f'mode={mode!r} needs data_samples.')
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(
            f"Unknown mode {mode!r}: use 'loss', 'predict' or 'tensor'.")

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Training losses of a batch of clips."""
        raise NotImplementedError

    def _forward(self, inputs: Tensor) -> Any:
        """Raw maps of the frames, for counting and export."""
        raise NotImplementedError

    @torch.no_grad()
    def predict(self, inputs: Tensor,
                data_samples: list[TrackDataSample]) -> list[TrackDataSample]:
        """Follow whole videos: a session, fed frame by frame.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W).
            data_samples (list[TrackDataSample]): Sizes of the frames of the
                N videos.

        Returns:
            list[TrackDataSample]: The samples, each with ``pred_tracks``, a
            ``VideoResult``.
        """
        for clip, sample in zip(inputs, data_samples, strict=True):
            session = self.session()
            for t, frame in enumerate(sample.video_data_samples):
                session.step(clip[t:t + 1], [frame.metainfo])
            sample.pred_tracks = session.finish()
        return data_samples

    # -- for tools ----------------------------------------------------------
    def parts(self) -> dict[str, nn.Module]:
        """The parts of the system by name, for tables of parameters; those
        of a segmenter stand for it."""
        parts = dict(self.named_children())
        parts.pop('data_preprocessor')
        segmenter = parts.pop('segmenter', nn.Module())
        return dict(segmenter.named_children()) | parts
