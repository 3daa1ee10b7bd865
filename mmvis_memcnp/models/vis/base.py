"""What every video instance segmentation system is: four calls and a loss."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel
from torch import Tensor, nn

from ...results.filters import TrackFilter
from ...results.pixels import FrameMeta
from ...results.ranking import Ranking
from ...results.sigma_map import SigmaMap
from ...results.sinks import Sink
from .session import Item, Session, State, System, VideoMeta


class VISOptions(TypedDict, total=False):
    """Arguments that every system takes; see :class:`VIS`."""
    ranking: dict | None
    track_filter: dict | None
    data_preprocessor: dict | None
    init_cfg: dict | None


class ExportedNetwork(Protocol):
    """What can take the place of :meth:`VIS.network`; it has the weights."""

    def __call__(self, frames: Tensor, sizes: Sequence[tuple[int, ...]],
                 carried: Tensor | None = None) -> Any:
        """See :meth:`VIS.network`."""

    def digest(self) -> str:
        """Of the weights."""


class VIS(BaseModel, System[State, Item]):
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
    default_ranking: dict = dict(type='MajorityLabel')
    #: NamedTuple that :meth:`network` gives; None: frames of this system have
    #: no network that could be exported.
    network_outputs: Any = None
    #: Runs in the place of :meth:`network`.
    exported: ExportedNetwork | None = None

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
    def new_ranking(self) -> Ranking:
        """A ranking for one video."""
        return TASK_UTILS.build(self.ranking)

    def new_filter(self) -> TrackFilter | None:
        """A filter of tracks for one video."""
        return TASK_UTILS.build(self.track_filter) \
            if self.track_filter else None

    def session(self,
                video_meta: VideoMeta | None = None,
                sink: Sink | None = None) -> Session[State, Item]:
        """Begin a video.

        Args:
            video_meta (VideoMeta, optional): See :meth:`begin`.
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
        """Training losses of a batch of clips.

        Args:
            inputs (Tensor): Shape (N, T, 3, H, W), normalised and padded.
            data_samples (list[TrackDataSample]): Annotated frames.

        Returns:
            dict[str, Tensor]: Scalars by name; those with ``loss`` in it are
            learnt.
        """
        raise NotImplementedError

    def _forward(self, inputs: Tensor) -> Any:
        """Raw maps of the frames, for counting."""
        raise NotImplementedError

    def network(self, frames: Tensor,
                sizes: Sequence[tuple[int, ...]] | Tensor) -> Any:
        """The network of single frames: from tensors to tensors, no decision
        on what is an object.

        One whose outputs have a field ``carried`` takes, as a third argument,
        that of the frames before; None or zeros in the first of their videos.

        Args:
            frames (Tensor): Shape (B, 3, H, W), normalised and padded.
            sizes (Sequence[tuple[int, ...]] | Tensor): Height and width of
                each frame before padding, first.

        Returns:
            NamedTuple: ``network_outputs``; its fields are tensors, lists of
            tensors or None.
        """
        raise NotImplementedError

    def look(self, frames: Any, metas: Sequence[FrameMeta],
             *carried: Tensor | None) -> Any:
        """What :meth:`network`, or what was exported of it, says of frames.

        Args:
            frames (Tensor): Shape (T, 3, H, W).
            metas (Sequence[FrameMeta]): ``img_shape`` of each.
            carried (Tensor, optional): See :meth:`network`.
        """
        return (self.exported or self.network)(
            frames, [meta['img_shape'][:2] for meta in metas], *carried)

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
