"""IDOL, SeqFormer and DVIS-DAQ with MemCNP: queries of layers."""
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ..apis.inferencer import VISInferencer
from ..models.layers import sides_to_boxes
from ..models.matching import Queries
from ..models.memcnp.hosts.rows import RowBoxes
from ..models.segmenters.deformable import DecodedQueries, sizes_wh
from ..models.truth.ground_truth import GroundTruth
from ..models.vis.anchor_online import best_score
from ..visualization import LevelSelection, draw_query_uncertainty
from .base import MemCNPProbe, Retrieval, check_bank


class LayerQueries(NamedTuple):
    """What L decoder layers say about Q queries of T frames.

    Attributes:
        hidden: (L, T, Q, C), what the memory is read with.
        references: (L, T, Q, 2), points that enter each layer, x and y as
            fractions of the frame.
        boxes: (L, T, Q, 4), cx, cy, w, h as fractions of the frame.
        sigmas: (L, T, Q, 4), in the ``box_unit`` of the memory: of half the
            sides of ``boxes`` or, 'image', fractions of the frame.
        scores: (Q, ), of the best class in the last layer.
    """
    hidden: Tensor
    references: Tensor
    boxes: Tensor
    sigmas: Tensor
    scores: Tensor


class QueryProbe(MemCNPProbe):
    """See :class:`MemCNPProbe`; a stage is a decoder layer."""

    def __init__(self, inferencer: VISInferencer) -> None:
        super().__init__(inferencer)
        self.stages = self.layers()
        self.default_stage = len(self.stages) - 1

    def layers(self) -> list[str]:
        """Names of the layers that predict boxes, the last one last."""
        count = len(self.model.segmenter.box_branches)
        return [f'layer {number}' for number in range(count)]

    @staticmethod
    def fits(model: Any) -> bool:
        """See :meth:`MemCNPProbe.fits`."""
        return model.memcnp is not None

    @abstractmethod
    def queries(self, images: Sequence[np.ndarray]) -> LayerQueries:
        """The queries of T frames (H, W, 3), uint8, BGR.

        Scores are those of the first frame in a system that has them of
        single frames.
        """

    @torch.no_grad()
    def retrieve(self, image: np.ndarray, stage: int,
                 point: np.ndarray | None, topk: int) -> Retrieval:
        """See :meth:`MemCNPProbe.retrieve`; the query whose reference is
        nearest to the point, or the one with the best score."""
        bank = self.model.memcnp.bank
        check_bank(bank, topk)
        found = self.queries([image])
        size = found.references.new_tensor(image.shape[1::-1])
        references = found.references[stage, 0]
        query = found.scores.argmax()
        if point is not None:
            there = torch.as_tensor(point).to(size)
            query = (references * size - there).norm(dim=1).argmin()
        _, scores, sides = bank.top_items(
            found.hidden[stage, 0, query][None], topk)
        boxes = sides_to_boxes(references[query].expand(topk, 2), sides[0])
        return Retrieval((references[query] * size).cpu().numpy(),
                         scores[0].tolist(),
                         (boxes * size.repeat(2)).cpu().numpy())

    @torch.no_grad()
    def uncertainty(self, images: Sequence[np.ndarray],
                    height: int) -> np.ndarray:
        """See :meth:`MemCNPProbe.uncertainty`; a dot a query, at the centre
        of the box that it predicts."""
        found = self.queries(images)
        points = [[
            layer.cpu().numpy() * image.shape[1::-1]
            for layer in found.boxes[:, t, :, :2]
        ] for t, image in enumerate(images)]
        values = [[layer.cpu().numpy() for layer in frame]
                  for frame in found.sigmas.mean(-1).transpose(0, 1)]
        return draw_query_uncertainty(images, points, values, self.stages,
                                      height)

    def _truth(self, image: np.ndarray, truth: InstanceData,
               classes: Sequence[str], like: Tensor) -> GroundTruth:
        """The annotations of a frame, on the device of ``like``."""
        labels = self._labels(truth, classes).to(like.device)[None]
        return GroundTruth.of(
            truth.bboxes.to(like)[None], like.new_tensor(
                [image.shape[1::-1]]), labels,
            torch.arange(labels.shape[1], device=like.device)[None],
            torch.ones_like(labels, dtype=torch.bool))

    def _labels(self, truth: InstanceData,
                classes: Sequence[str]) -> torch.Tensor:
        """Labels by the model's list of classes."""
        known = self.inferencer.classes
        wanted = [classes[label] for label in truth.labels.tolist()]
        strange = sorted(set(wanted) - set(known))
        if strange:
            raise ValueError(f'The annotations have the class {strange[0]!r}, '
                             'which the model does not know: its classes are '
                             f'{", ".join(known)}.')
        return torch.tensor([known.index(name) for name in wanted])


class IDOLProbe(QueryProbe):
    """See :class:`MemCNPProbe`; frames are looked at one by one."""
    selections = ('SimOTA', 'USS')

    @torch.no_grad()
    def queries(self, images: Sequence[np.ndarray]) -> LayerQueries:
        """See :meth:`QueryProbe.queries`."""
        decoded = self._decode(images)
        assert decoded.sigmas is not None  # MemCNP predicts them
        scores = self.model.segmenter.class_logits(
            decoded.hidden[-1:, 0])[0]
        return LayerQueries(decoded.hidden, decoded.references, decoded.boxes,
                            decoded.sigmas, scores.sigmoid().amax(1))

    @torch.no_grad()
    def select(self, image: np.ndarray, truth: InstanceData,
               classes: Sequence[str],
               names: Sequence[str]) -> dict[str, list[LevelSelection]]:
        """See :meth:`MemCNPProbe.select`: the host's matching, and USS, which
        takes its place with MemCNP. A query stands at its reference."""
        model = self.model
        if model.matcher is None:
            raise ValueError('The model of this config has no matcher, so it '
                             'selects nothing: use a config that trains.')
        decoded = self._decode([image])
        queries = model.queries(decoded)
        gt = self._truth(image, truth, classes, queries.logits)
        host = model.matcher.match(queries, gt)
        picked = model.memcnp_training.select(queries, gt, host.best)
        signs = dict(SimOTA=(host.pos[:, 0], host.neg[:, 0]),
                     USS=(picked.pos[:, 0], picked.neg[:, 0]))
        return {name: _layers_of(decoded.references[:, 0], *signs[name], image)
                for name in names}

    def _decode(self, images: Sequence[np.ndarray]) -> DecodedQueries:
        inputs, metas = self.inferencer.prepare(list(images))
        return self.model.decode(inputs, [m['img_shape'] for m in metas])[1]


class SeqFormerProbe(QueryProbe):
    """See :class:`MemCNPProbe`; the frames are taken as one clip."""
    selections = ()

    @torch.no_grad()
    def queries(self, images: Sequence[np.ndarray]) -> LayerQueries:
        """See :meth:`QueryProbe.queries`."""
        inputs, metas = self.inferencer.prepare(list(images))
        encoded = self.model.segmenter.encode_frames(
            inputs, [meta['img_shape'] for meta in metas])
        decoded = self.model.decode_clips(encoded, 1)
        scores = self.model.segmenter.class_logits(
            [decoded.instances[-1][0]])[0]
        # A clip is a batch of one: layers take its place.
        return LayerQueries(
            torch.cat(decoded.box_queries), torch.cat(decoded.references),
            torch.cat(decoded.boxes),
            torch.cat([s for s in decoded.sigmas if s is not None]),
            scores.sigmoid().amax(1))

    def select(self, image: np.ndarray, truth: InstanceData,
               classes: Sequence[str],
               names: Sequence[str]) -> dict[str, list[LevelSelection]]:
        """See :meth:`MemCNPProbe.select`; always raises."""
        raise ValueError(
            'SeqFormer keeps its one-to-one matching of whole clips with '
            'MemCNP and uses USS only for further queries that train boxes, '
            'so there is no selection in a frame to draw: use a config of '
            'SipMask or IDOL with MemCNP.')


class DVISDAQProbe(QueryProbe):
    """See :class:`MemCNPProbe`; each frame is looked at as the first of a
    video. A row of the tracker stands in the middle of its mask."""
    selections = ('USS', )

    def layers(self) -> list[str]:
        """See :meth:`QueryProbe.layers`: the last alone."""
        return [f'layer {len(self.model.tracker.layers) - 1}']

    @torch.no_grad()
    def queries(self, images: Sequence[np.ndarray]) -> LayerQueries:
        """See :meth:`QueryProbe.queries`."""
        logits, found = self._rows(images)
        return LayerQueries(
            found.z[None], found.references[None], found.boxes[None],
            found.sigmas[None], best_score(logits[0]))

    @torch.no_grad()
    def select(self, image: np.ndarray, truth: InstanceData,
               classes: Sequence[str],
               names: Sequence[str]) -> dict[str, list[LevelSelection]]:
        """See :meth:`MemCNPProbe.select`: rows that learn boxes beside those
        that the host's matching, which needs masks, gives to the objects."""
        logits, found = self._rows([image])
        picked = self.model.memcnp_training.assigner.match(
            Queries(logits, references=found.references, sigmas=found.sigmas),
            self._truth(image, truth, classes, logits))
        return {name: _layers_of(found.references, picked.pos, picked.neg,
                                 image) for name in names}

    def _rows(self, images: Sequence[np.ndarray]) -> tuple[Tensor, RowBoxes]:
        """Class logits (T, R, K + 1) and boxes of the rows."""
        inputs, metas = self.inferencer.prepare(list(images))
        frames = self.model.segmenter(inputs)
        rows = self.model.rows(None, frames, False)
        logits, _, _, boxes = self.model.row_outputs(
            rows.hidden[-1:], frames, rows.padded,
            sizes_wh(metas, inputs.device))
        return logits[-1], boxes


def _layers_of(references: Tensor, pos: Tensor, neg: Tensor,
               image: np.ndarray) -> list[LevelSelection]:
    """What a selection takes of the queries (L, Q, 2) of each layer."""
    points = references.cpu().numpy() * image.shape[1::-1]
    # Queries have no grid: as far apart as if they shared the frame out.
    spacing = float(np.sqrt(np.prod(image.shape[:2]) / points.shape[1]))
    return [
        LevelSelection(at, yes.cpu().numpy(), no.cpu().numpy(), spacing)
        for at, yes, no in zip(points, pos, neg, strict=True)
    ]
