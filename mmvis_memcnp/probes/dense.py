"""SipMask with MemCNP: points of pyramid levels."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData

from ..apis.inferencer import VISInferencer
from ..models.layers import sides_to_boxes
from ..models.segmenters.deformable import input_hw
from ..visualization import (
    LevelSelection,
    draw_uncertainty_maps,
    spread_map,
)
from .base import MemCNPProbe, Retrieval, check_bank

_ASSIGNERS = dict(YOLO='YOLOCellAssigner', FCOS='FCOSPointAssigner',
                  ObjectBox='ObjectBoxAssigner', USS='USSAssigner')


class DenseProbe(MemCNPProbe):
    """See :class:`MemCNPProbe`; a stage is a pyramid level."""
    default_stage = 0
    selections = tuple(_ASSIGNERS)

    def __init__(self, inferencer: VISInferencer) -> None:
        super().__init__(inferencer)
        self.head = self.model.bbox_head
        self.stages = [f'stride {stride}' for stride in self.head.strides]

    @staticmethod
    def fits(model: Any) -> bool:
        """See :meth:`MemCNPProbe.fits`."""
        return getattr(model.bbox_head, 'memcnp', None) is not None

    @torch.no_grad()
    def retrieve(self, image: np.ndarray, stage: int,
                 point: np.ndarray | None, topk: int) -> Retrieval:
        """See :meth:`MemCNPProbe.retrieve`; the cell that holds the point, or
        the middle of the frame where nothing is found."""
        check_bank(self.head.memcnp.bank, topk)
        inputs, metas = self.inferencer.prepare([image])
        feats = self.model.extract_feat(inputs)
        scale = np.array(metas[0]['scale_factor'][:2])
        if point is None:
            best = self.model.encode(inputs, metas)[0]
            point = np.array(image.shape[1::-1]) / 2
            if len(best):
                box = best.bboxes[best.scores.argmax()].cpu().numpy()
                point = (box[:2] + box[2:]) / 2
        stride = self.head.strides[stage]
        rows, columns = feats[stage].shape[-2:]
        x, y = np.minimum(point * scale // stride,
                          [columns - 1, rows - 1]).astype(int).tolist()
        scores, boxes = self.lookup(feats, stage, y, x, topk)
        height, width = inputs.shape[-2:]
        pixels = boxes.cpu().numpy() * np.array([width, height] * 2)
        return Retrieval((np.array([x, y]) + .5) * stride / scale,
                         scores.tolist(), pixels / np.tile(scale, 2))

    @torch.no_grad()
    def uncertainty(self, images: Sequence[np.ndarray],
                    height: int) -> np.ndarray:
        """See :meth:`MemCNPProbe.uncertainty`; a map a level."""
        rows = []
        for image in images:
            inputs, metas = self.inferencer.prepare([image])
            maps = self.maps(self.model.extract_feat(inputs))
            rows.append([
                spread_map(m[0].cpu().numpy(), input_hw(inputs),
                           metas[0]['img_shape'], metas[0]['ori_shape'])
                for m in maps
            ])
        return draw_uncertainty_maps(images, rows, self.stages, height)

    @torch.no_grad()
    def select(self, image: np.ndarray, truth: InstanceData,
               classes: Sequence[str],
               names: Sequence[str]) -> dict[str, list[LevelSelection]]:
        """See :meth:`MemCNPProbe.select`; classes do not matter here."""
        inputs, metas = self.inferencer.prepare([image])
        maps = [m[0].cpu()
                for m in self.maps(self.model.extract_feat(inputs))]
        scale = torch.tensor(metas[0]['scale_factor'][:2])
        return {
            name: _select(_ASSIGNERS[name], maps, self.head.strides, truth,
                          scale)
            for name in names
        }

    def lookup(self, feats: tuple[torch.Tensor, ...], level: int, y: int,
               x: int, topk: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Memory items that a point of the first frame retrieves (Fig. 7).

        Args:
            feats (tuple[Tensor]): Pyramid.
            level (int): Pyramid level of the point.
            y (int): Row of the point on that level.
            x (int): Column of the point on that level.
            topk (int): Number of items.

        Returns:
            tuple[Tensor, Tensor]: Similarities (k,) and the items' boxes
            (k, 4) around the point, x1, y1, x2, y2 as fractions of the padded
            network input.
        """
        z = self.head.class_features(feats[level][:1])[:, :, y, x]
        _, scores, distances = self.head.memcnp.bank.top_items(z, topk)
        size = self.head.input_hw(feats)
        stride = self.head.strides[level]
        # The items' distances are in the head's unit.
        boxes = sides_to_boxes(
            z.new_tensor([(x + .5) * stride, (y + .5) * stride]).expand(
                topk, 2),
            distances[0] * z.new_tensor([*self.head.unit_wh(*size)] * 2))
        return scores[0], boxes / z.new_tensor([*size[::-1]] * 2)

    def maps(self, feats: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """Mean standard deviation of the box sides at every point.

        Args:
            feats (tuple[Tensor]): Pyramid of B frames.

        Returns:
            list[Tensor]: (B, H, W) of each level, in the ``box_unit`` of the
            memory: of half the sides of the box that the point predicts or,
            'image', fractions of the head's ``unit_wh``.
        """
        outs = self.head(feats)
        return [
            sigma.mean(-1).view(-1, *cls.shape[-2:])
            for sigma, cls in zip(outs.sigmas, outs.cls_scores, strict=True)
        ]


def _select(kind: str, maps: Sequence[torch.Tensor], strides: Sequence[int],
            truth: InstanceData, scale: torch.Tensor) -> list[LevelSelection]:
    """Points of each level that a selection takes.

    Args:
        kind (str): Registered assigner.
        maps (Sequence[Tensor]): (H, W) uncertainty of each level.
        strides (Sequence[int]): Input pixels a cell of each level.
        truth (InstanceData): Objects, in pixels of the frame.
        scale (Tensor): (x, y) network size over frame size.
    """
    priors, levels = [], []
    for level, (values, stride) in enumerate(zip(maps, strides, strict=True)):
        y, x = torch.meshgrid(*(torch.arange(n) for n in values.shape),
                              indexing='ij')
        points = (torch.stack([x, y], -1).flatten(0, 1) + .5) * stride
        priors.append(torch.cat([points, torch.full_like(points, stride)], 1))
        levels.append(torch.full((len(points), ), level))
    sigma = torch.cat([values.flatten() for values in maps])
    samples = InstanceData(priors=torch.cat(priors), levels=torch.cat(levels),
                           sigmas=sigma[:, None].repeat(1, 4))
    objects = InstanceData(bboxes=truth.bboxes * scale.repeat(2),
                           labels=truth.labels)
    found = TASK_UTILS.build(dict(type=kind)).assign(samples, objects).gt_inds
    out = []
    for level, stride in enumerate(strides):
        here = samples.levels == level
        gt_inds = found[here].numpy()
        out.append(
            LevelSelection((samples.priors[here, :2] / scale).numpy(),
                           gt_inds > 0, gt_inds == 0,
                           stride / float(np.mean(scale.numpy()))))
    return out
