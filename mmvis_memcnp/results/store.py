"""From frame results to the tracks of a video, in bounded memory."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from mmengine.structures import InstanceData

from .frame import empty_frame_result, frame_result
from .masks import RLE
from .ranking import Ranked
from .results_json import result_entry
from .saved_values import saveable
from .sigma_map import SigmaMap
from .sinks import MemorySink, Record, Sink

#: Fields of a FrameResult that are the last ones of a record.
_MORE = ('class_probs', 'centernesses', 'uncertainties')


@dataclass(frozen=True)
class Track:
    """One identity of a video, under one label.

    Attributes:
        id (int): Identity; systems that give an identity several labels
            have a track for each.
        label (int): 0-based class index; see the ranking.
        score (float): Confidence in [0, 1]; see the ranking.
        num_frames (int): Length of the video.
        num_detections (int): Frames in which the identity was found.
        first_frame (int): What was recorded before this frame was dropped.
    """
    id: int
    label: int
    score: float
    num_frames: int
    num_detections: int
    _sink: Sink = field(repr=False, compare=False)
    first_frame: int = 0

    def records(self) -> Iterator[Record]:
        """What is known of the identity, in the order of the frames."""
        for record in self._sink.track(self.id):
            if record.frame >= self.num_frames:
                return
            if record.frame >= self.first_frame:
                yield record

    @property
    def segmentations(self) -> list[RLE | None]:
        """A run-length code or None a frame; read from the sink."""
        return self._per_frame(lambda record: record.rle)

    @property
    def frame_scores(self) -> list[float | None]:
        """A score or None a frame; read from the sink."""
        return self._per_frame(lambda record: record.score)

    @property
    def sigmas(self) -> list[float | None]:
        """Mean standard deviation of the box's sides, or None, a frame."""
        return self._per_frame(lambda record: sum(record.sigmas) / 4
                               if record.sigmas is not None else None)

    def _per_frame(self, value) -> list:
        out = [None] * self.num_frames
        for record in self.records():
            out[record.frame] = value(record)
        return out


@dataclass(frozen=True)
class VideoResult:
    """The tracks of a video.

    Attributes:
        num_frames (int): Length of the video.
        tracks (list[Track]): The identities, in the order of the ranking.
        ori_shape (tuple[int, int], optional): (H, W) of the frames, None for
            a video without frames.
        sigma_map (SigmaMap, optional): What the standard deviations were
            mapped by; None: they are the network's own, which order boxes
            but are not of the size of their errors.
    """
    num_frames: int
    tracks: list[Track]
    ori_shape: tuple[int, int] | None = None
    sigma_map: SigmaMap | None = None
    _sink: Sink = field(default_factory=MemorySink, repr=False, compare=False)

    def iter_ytvis(self, video_id: int,
                   cat_ids: Sequence[int]) -> Iterator[dict]:
        """Entries of results.json, a track at a time.

        Args:
            video_id (int): The video's id in the ground truth.
            cat_ids (Sequence[int]): Category id of each label.

        Yields:
            dict: ``video_id``, ``category_id``, ``score`` and
            ``segmentations``: a code with str counts or None a frame.
        """
        for track in self.tracks:
            yield result_entry(video_id, cat_ids[track.label], track)

    def to_ytvis(self, video_id: int, cat_ids: Sequence[int]) -> list[dict]:
        """All entries of results.json; see :meth:`iter_ytvis`."""
        return list(self.iter_ytvis(video_id, cat_ids))

    def iter_frames(self) -> Iterator[InstanceData]:
        """The FrameResults again, in the order of the frames.

        Tracks that are no longer in ``tracks`` are left out.
        """
        kept = {track.id: track.first_frame for track in self.tracks}
        frame = 0
        batch: list[Record] = []
        for record in self._sink.scan():
            while record.frame > frame and frame < self.num_frames:
                yield self._frame(batch, frame)
                frame, batch = frame + 1, []
            if frame >= self.num_frames:
                return
            if record.frame >= kept.get(record.id, self.num_frames):
                batch.append(record)
        while frame < self.num_frames:
            yield self._frame(batch, frame)
            frame, batch = frame + 1, []

    def _frame(self, records: list[Record], frame: int) -> InstanceData:
        """Rebuild the FrameResult that the records came from."""
        shape = self.ori_shape or (0, 0)
        result = _to_frame_result(records, frame, shape)
        if self.sigma_map is not None and 'box_sigmas' in result:
            result.set_metainfo(dict(sigmas_mapped=True))
        return result


@saveable
@dataclass
class _Running:
    """What the store remembers of an identity."""
    first_frame: int
    count: int = 0


class TrackStore:
    """Collects frame results as they arrive.

    Frames are numbered in the order in which they are appended. Masks go to
    the sink at once; what stays is a count an identity.

    Args:
        sink (Sink, optional): :class:`MemorySink` or :class:`FileSink`.
            Defaults to a new :class:`MemorySink`.
        sigma_map (SigmaMap, optional): What the standard deviations that are
            appended were mapped by.
    """

    def __init__(self, sink: Sink | None = None,
                 sigma_map: SigmaMap | None = None) -> None:
        self.sink: Sink = MemorySink() if sink is None else sink
        self.sigma_map = sigma_map
        self._running: dict[int, _Running] = {}
        self._num_frames = 0
        self._shape: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Number of frames so far."""
        return self._num_frames

    def append(self, result: InstanceData) -> None:
        """Add the next frame.

        Args:
            result (InstanceData): A FrameResult; see
                :func:`~mmvis_memcnp.results.frame`.

        Raises:
            ValueError: If an identity occurs twice in the frame.
        """
        ids = result.instances_id.tolist()
        if len(set(ids)) != len(ids):
            raise ValueError(f'Frame {self._num_frames} holds an identity '
                             f'twice: {sorted(ids)}.')
        labels, scores = result.labels.tolist(), result.scores.tolist()
        boxes = result.bboxes.tolist()
        sigmas: list = [None] * len(ids)
        if 'box_sigmas' in result:
            sigmas = [tuple(four) for four in result.box_sigmas.tolist()]
        more = [result[name].tolist() if name in result
                else [None] * len(ids) for name in _MORE]
        for i, track_id in enumerate(ids):
            running = self._running.setdefault(
                track_id, _Running(self._num_frames))
            running.count += 1
            self.sink.write(
                Record(self._num_frames, track_id, labels[i], scores[i],
                       tuple(boxes[i]), sigmas[i], result.masks[i],
                       *(values[i] for values in more)))
        if self._shape is None:
            self._shape = result.metainfo.get('ori_shape')
        self._num_frames += 1

    def drop(self, ids: Iterable[int]) -> None:
        """Forget identities; one that comes again starts afresh.

        Args:
            ids (Iterable[int]): Identities; ones that are not known are
                passed over.
        """
        for track_id in ids:
            self._running.pop(track_id, None)

    def finish(self, ranked: Iterable[Ranked]) -> VideoResult:
        """The tracks of the frames so far.

        More frames may follow; a result that was given out does not change.

        Args:
            ranked (Iterable[Ranked]): Labels and scores. Identities that were
                never recorded are left out: no mask of them is known.
        """
        tracks = []
        for track_id, label, score in ranked:
            running = self._running.get(track_id)
            if running is not None:
                tracks.append(
                    Track(track_id, label, score, self._num_frames,
                          running.count, self.sink, running.first_frame))
        return VideoResult(self._num_frames, tracks, self._shape,
                           self.sigma_map, self.sink)


def _to_frame_result(records: list[Record], frame: int,
                     shape: tuple[int, int]) -> InstanceData:
    """Rebuild the FrameResult that the records came from."""
    if not records:
        return empty_frame_result(shape, frame)
    sigmas = None
    if records[0].sigmas is not None:
        sigmas = torch.tensor([record.sigmas for record in records])
    more = zip(*(record[-len(_MORE):] for record in records), strict=True)
    return frame_result(
        torch.tensor([record.id for record in records]),
        torch.tensor([record.bbox for record in records]),
        torch.tensor([record.score for record in records]),
        torch.tensor([record.label for record in records]),
        [record.rle for record in records],
        ori_shape=shape, frame_id=frame, box_sigmas=sigmas,
        **{name: torch.tensor(values) for name, values in zip(
            _MORE, more, strict=True) if None not in values})
