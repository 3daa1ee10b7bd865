"""The state of one video that InstanceFormer follows."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from torch import Tensor

from ...results.frame_result import frame_result
from ...results.masks import encode_masks
from ...results.query_scoring import QUERY_SCORINGS, QueryScoring
from ...results.sinks import Sink
from ...results.store import TrackStore, VideoResult
from ..layers.resample_masks import resample_masks
from ..losses.query_pairs import QueryPairs
from ..segmenters.deformable import EncodedFrames
from .base import CHUNK, VISSession

if TYPE_CHECKING:
    from .instanceformer import FrameQueries, InstanceFormer, PropagatedState

_DEFAULTS: dict[str, Any] = dict(
    num_proposals=50, proposal_frames=3, score_thr=0.001, video_score='mean')


class _Waiting:
    """A frame before the proposals are known; small, as masks are not made."""

    def __init__(self, frame: FrameQueries, features: Tensor, scores: Tensor,
                 meta: dict) -> None:
        self.frame = frame
        self.features = features
        self.scores = scores
        self.meta = meta


class InstanceFormerSession(VISSession):
    """Queries, references, memory and class history of one video.

    The instances of a video are the queries that score best in its first
    frames: the identity of an instance is the number of its query. Results
    of those frames are provisional; what is recorded for them are the
    instances that are chosen once the last of them is there, or when
    :meth:`finish` is called. What is kept does not grow with the video.

    Args:
        model: the system; not changed. Its ``test_cfg`` may hold
            ``num_proposals``, (query, class) pairs taken, 50;
            ``proposal_frames``, frames they are taken from, 3; ``score_thr``,
            tracks below it are dropped, 0.001; ``video_score``, 'mean' (the
            paper) or 'top_quarter' (the released code).
        video_meta: anything known of the video.
        sink: keeps the masks; in memory by default.
    """

    def __init__(self,
                 model: InstanceFormer,
                 video_meta: dict | None = None,
                 sink: Sink | None = None) -> None:
        # No tracker: the query is the identity.
        self.model: Any = model
        self.video_meta = dict(video_meta or {})
        self.store = TrackStore(sink)
        self.test_cfg = self.check(model.test_cfg)
        self.state: PropagatedState | None = None
        self.chosen: Tensor | None = None
        self.scoring: QueryScoring = QUERY_SCORINGS[
            self.test_cfg['video_score']]()
        self._waiting: list[_Waiting] = []

    @staticmethod
    def check(test_cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Fill the defaults in.

        Raises:
            ValueError: naming an unknown key or value.
        """
        unknown = sorted(set(test_cfg) - set(_DEFAULTS))
        if unknown:
            raise ValueError(f'test_cfg has the unknown key {unknown[0]!r}; '
                             f'known: {sorted(_DEFAULTS)}.')
        cfg = {**_DEFAULTS, **test_cfg}
        if cfg['video_score'] not in QUERY_SCORINGS:
            raise ValueError('video_score must be one of '
                             f'{sorted(QUERY_SCORINGS)}, got '
                             f'{cfg["video_score"]!r}.')
        for key in ('num_proposals', 'proposal_frames'):
            if cfg[key] < 1:
                raise ValueError(
                    f'{key} must be at least 1, got {cfg[key]}.')
        return cfg

    @torch.no_grad()
    def step(self, frames: Tensor, metas: list[dict]) -> list[InstanceData]:
        """Take the next frames: encoded together, decoded in order.

        Args:
            frames: (T, 3, H, W) normalised and padded.
            metas: ``img_shape`` and ``ori_shape`` of each.

        Returns:
            The result of each frame: those of the chosen queries whose mask
            is not empty.

        Raises:
            ValueError: if there is not one meta a frame.
        """
        if len(frames) != len(metas):
            raise ValueError(f'{len(frames)} frames came with {len(metas)} '
                             'metas: give one meta a frame.')
        results = []
        for at in range(0, len(frames), CHUNK):
            part = slice(at, at + CHUNK)
            encoded, features = self.model.encode(
                frames[part], [meta['img_shape'] for meta in metas[part]])
            for t, meta in enumerate(metas[part]):
                own = slice(t, t + 1)
                results.append(self._one(encoded.select(own), features[own],
                                         meta))
        return results

    def finish(self) -> VideoResult:
        """End the video: tracks with video-level scores and labels."""
        self._choose()
        result = self.store.finish()
        if self.chosen is None or len(self.chosen) == 0:
            return result
        labels, scores = (x.tolist() for x in self.scoring.finish())
        row = {q: i for i, q in enumerate(self.chosen.tolist())}
        tracks = [
            replace(track, label=labels[row[track.id]],
                    score=scores[row[track.id]]) for track in result.tracks
            if scores[row[track.id]] >= self.test_cfg['score_thr']
        ]
        return replace(result, tracks=tracks)

    def _one(self, encoded: EncodedFrames, features: Tensor,
             meta: dict) -> InstanceData:
        """Queries and result of one encoded frame."""
        model = self.model
        frame = model.decode(encoded, self.state)
        self.state = model.propagate(frame, self.state)
        first = model.class_offset
        scores = frame.logits[-1, 0, :, first:first +
                              model.num_classes].sigmoid()
        waiting = _Waiting(frame, features, scores, meta)
        if self.chosen is None:
            self._waiting.append(waiting)
            if len(self._waiting) < self.test_cfg['proposal_frames']:
                return self._result(waiting, self._proposals())
            return self._choose()[-1]
        return self._record(waiting)

    def _proposals(self) -> Tensor:
        """Queries of the best (query, class) scores so far, best first."""
        scores = torch.stack([w.scores for w in self._waiting])
        count = min(self.test_cfg['num_proposals'], scores.numel())
        best = scores.flatten().topk(count).indices
        query = best // scores.shape[2] % scores.shape[1]
        same = query[:, None] == query[None]
        return query[~(same & torch.ones_like(same).tril(-1)).any(1)]

    def _choose(self) -> list[InstanceData]:
        """Decide on the instances and record the frames that waited."""
        if self._waiting:
            self.chosen = self._proposals()
        results = [self._record(waiting) for waiting in self._waiting]
        self._waiting = []
        return results

    def _record(self, waiting: _Waiting) -> InstanceData:
        assert self.chosen is not None
        self.scoring.add(waiting.scores[self.chosen])
        result = self._result(waiting, self.chosen)
        self.store.append(result)
        return result

    def _result(self, waiting: _Waiting, queries: Tensor) -> InstanceData:
        """What is seen of some queries in a frame."""
        meta, frame = waiting.meta, waiting.frame
        height, width = meta['ori_shape'][:2]
        zeros = torch.zeros_like(queries)
        pairs = QueryPairs(zeros + len(frame.logits) - 1, zeros, queries,
                           zeros)
        size = frame.logits.new_tensor([meta['img_shape'][1::-1]])
        masks = resample_masks(
            self.model.mask_logits(waiting.features, frame, pairs, size),
            self.model.mask_stride, meta['img_shape'][:2], (height, width))
        seen = masks.flatten(1).any(1)
        queries = queries[seen]
        class_scores = waiting.scores[queries]
        scores, labels = class_scores.max(-1)
        scale = scores.new_tensor([width, height, width, height])
        boxes = bbox_cxcywh_to_xyxy(
            frame.decoded.boxes[-1, 0, queries]).clamp(0, 1) * scale
        return frame_result(
            queries, boxes, scores, labels, encode_masks(masks[seen]),
            ori_shape=(height, width),
            frame_id=int(meta.get('frame_id', 0)),
            class_scores=class_scores)
