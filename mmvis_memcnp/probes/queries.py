"""IDOL and SeqFormer with MemCNP: queries of decoder layers."""
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ..apis.inferencer import VISInferencer
from ..models.layers import sides_to_boxes
from ..models.segmenters.deformable import DecodedQueries
from ..models.truth.ground_truth import GroundTruth
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
        layers = len(self.model.segmenter.box_branches)
        self.stages = [f'layer {number}' for number in range(layers)]
        self.default_stage = layers - 1

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
        labels = self._labels(truth, classes).to(queries.logits.device)[None]
        gt = GroundTruth.of(
            truth.bboxes.to(queries.logits)[None],
            queries.logits.new_tensor([image.shape[1::-1]]), labels,
            torch.arange(labels.shape[1])[None],
            torch.ones_like(labels, dtype=torch.bool))
        host = model.matcher.match(queries, gt)
        picked = model.memcnp_training.select(queries, gt, host.best)
        signs = dict(SimOTA=(host.pos[:, 0], host.neg[:, 0]),
                     USS=(picked.pos[:, 0], picked.neg[:, 0]))
        points = decoded.references[:, 0].cpu().numpy() * image.shape[1::-1]
        # Queries have no grid: as far apart as if they shared the frame out.
        spacing = float(np.sqrt(np.prod(image.shape[:2]) / points.shape[1]))
        return {
            name: [
                LevelSelection(points[layer], pos.cpu().numpy(),
                               neg.cpu().numpy(), spacing)
                for layer, (pos, neg) in enumerate(
                    zip(*signs[name], strict=True))
            ]
            for name in names
        }

    def _decode(self, images: Sequence[np.ndarray]) -> DecodedQueries:
        inputs, metas = self.inferencer.prepare(list(images))
        return self.model.decode(inputs, [m['img_shape'] for m in metas])[1]

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
