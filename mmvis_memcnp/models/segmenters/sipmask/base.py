"""What SipMask's head and the MemCNP head have in common."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, Scale
from mmengine.model import BaseModule, bias_init_with_prob, normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ....ops import crop_split_gt
from ....results.pixels import FrameMeta
from ...layers import level_points
from ...layers.fast_nms import NMS_RULES, fast_nms
from ...layers.masks import centres, vectors_at
from ...truth.ground_truth import GroundTruth


class DenseOutputs(NamedTuple):
    """Raw maps of a dense head; lists hold one entry a level.

    Attributes:
        cls_scores: (B, num_classes, H, W) logits.
        boxes: (B, H * W, 4) x1, y1, x2, y2 in pixels of the network input.
        centernesses: (B, 1, H, W) logits.
        basis: (B, M, h, w) mask basis at stride 2.
        track_map: (B, T, H, W) track vectors at the first stride.
        coefficients: (B, 4 * M, H, W) mask coefficients, or None where the
            track vectors serve as such.
        sigmas: (B, H * W, 4) standard deviations of x1, y1, x2, y2 in the
            ``box_unit`` of the memory ('image': fractions of the head's
            ``unit_wh``), or None.
    """
    cls_scores: list[Tensor]
    boxes: list[Tensor]
    centernesses: list[Tensor]
    basis: Tensor
    track_map: Tensor
    coefficients: list[Tensor] | None = None
    sigmas: list[Tensor] | None = None


class Candidates(NamedTuple):
    """Points that may become detections, K of each of B frames.

    Attributes:
        boxes: (B, K, 4) in pixels of the network input.
        scores: (B, K, num_classes) class probabilities.
        centernesses: (B, K) probabilities.
        coefficients: (B, K, 4 * M) of the mask, or None.
        sigmas: (B, K, 4), or None.
    """
    boxes: Tensor
    scores: Tensor
    centernesses: Tensor
    coefficients: Tensor | None
    sigmas: Tensor | None


def flatten_level(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


class DenseHead(BaseModule):
    """Towers, scoring and selection of a FCOS-like video instance head.

    Subclasses build their layers and give :meth:`forward`,
    :meth:`mask_logits` and :meth:`loss`.

    Args:
        num_classes: foreground classes.
        in_channels: channels of every pyramid level.
        feat_channels: channels of the towers.
        stacked_convs: convolutions of the long tower; the others have one
            less.
        strides: input pixels a cell of each level.
        box_offset: 1 if a box includes its last pixel, else 0.
        clip_boxes: ``'image'`` clips predicted boxes to the frame,
            ``'input'`` to the padded input.
        vector_rounding: see :func:`~..layers.masks.vectors_at`; used for
            the tracker's vectors at test time.
        ref_jitter: random shift and scale of the reference boxes in
            training, a fraction of their size.
        norm_cfg: norm layer of the towers.
        test_cfg: ``score_thr``, ``nms_iou_thr``, ``nms_pre`` (candidates a
            level), ``max_per_img`` and ``nms``, the ``rule`` of
            :func:`~..layers.fast_nms.fast_nms`.

    Raises:
        ValueError: if an option has no such value.
    """

    #: Input pixels a pixel of the mask basis.
    mask_stride = 2
    #: Parts a side that a box is cut into for its mask.
    splits = 1

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 256,
                 feat_channels: int = 256,
                 stacked_convs: int = 3,
                 strides: tuple[int, ...] = (8, 16, 32, 64),
                 box_offset: int = 0,
                 clip_boxes: str = 'image',
                 vector_rounding: str = 'floor',
                 ref_jitter: float = 0.05,
                 norm_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if clip_boxes not in ('image', 'input'):
            raise ValueError(
                f"clip_boxes is {clip_boxes!r}; use 'image' or 'input'.")
        if len(strides) < 3:
            raise ValueError(f'{len(strides)} strides are too few: masks and '
                             'track vectors are fused of three levels.')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.strides = list(strides)
        self.box_offset = box_offset
        self.clip_boxes = clip_boxes
        self.vector_rounding = vector_rounding
        self.ref_jitter = ref_jitter
        self.norm_cfg = norm_cfg or dict(type='GN', num_groups=32)
        self.test_cfg: dict[str, Any] = dict(
            score_thr=0.03, nms_iou_thr=0.5, nms_pre=200, max_per_img=10,
            nms='every_label')
        self.test_cfg.update(test_cfg or {})
        if self.test_cfg['nms'] not in NMS_RULES:
            raise ValueError(f"test_cfg.nms is {self.test_cfg['nms']!r}; use "
                             f'one of {NMS_RULES}.')
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.strides)

    def _tower(self, length: int, last_relu: bool = True) -> nn.ModuleList:
        """3x3 convolutions with norm; the last may end without ReLU."""
        return nn.ModuleList(
            ConvModule(
                self.in_channels if i == 0 else self.feat_channels,
                self.feat_channels,
                3,
                padding=1,
                norm_cfg=self.norm_cfg,
                act_cfg=dict(type='ReLU')
                if last_relu or i < length - 1 else None)
            for i in range(length))

    def init_weights(self) -> None:
        """Convolutions ~ N(0, 0.01); classes start at probability 0.01."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                normal_init(module, std=0.01)
        normal_init(self.fcos_cls, std=0.01, bias=bias_init_with_prob(0.01))
        for child in self.children():
            if hasattr(child, 'init_weights'):
                child.init_weights()

    @staticmethod
    def _fuse(levels: list[Tensor]) -> Tensor:
        """Concatenate levels at the resolution of the first."""
        size = levels[0].shape[-2:]
        return torch.cat([levels[0]] + [
            F.interpolate(x, size=size, mode='bilinear', align_corners=False)
            for x in levels[1:]
        ], 1)

    def points(self, maps: list[Tensor]) -> list[Tensor]:
        """Points (H * W, 2) of each level, x and y in input pixels."""
        return level_points([(m.shape[-2], m.shape[-1]) for m in maps],
                            self.strides, maps[0].device)

    def priors(self, points: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Points as the assigners take them.

        Args:
            points: (N_l, 2) of each level, as :meth:`points` gives them.

        Returns:
            (N, 4) x, y and the stride twice, in input pixels; (N,) int64
            level.
        """
        strides = [
            p.new_full((len(p), 2), s)
            for p, s in zip(points, self.strides, strict=True)
        ]
        levels = [
            torch.full((len(p), ), i, device=p.device)
            for i, p in enumerate(points)
        ]
        return (torch.cat([torch.cat(points), torch.cat(strides)], 1),
                torch.cat(levels))

    def unit_wh(self, height: int, width: int) -> tuple[int, int]:
        """What boxes are fractions of, width and height in pixels: by
        default the padded input of this size."""
        return width, height

    def check_input(self, height: int, width: int) -> None:
        """Refuse a padded input whose boxes the head cannot say.

        Raises:
            ValueError: If it is too large.
        """

    def image_sigmas(self, sigmas: Tensor, boxes: Tensor) -> Tensor:
        """Standard deviations of boxes as fractions of :meth:`unit_wh`.

        Args:
            sigmas: (n, 4), what the head predicts.
            boxes: (n, 4), xyxy in those fractions.
        """
        return sigmas

    def certainty(self, sigmas: Tensor) -> Tensor:
        """What scores are multiplied by, for how sure boxes are.

        Args:
            sigmas: (n, 4), what the head predicts.

        Returns:
            (n,), in (0, 1].
        """
        return torch.ones_like(sigmas[:, 0])

    def mask_probabilities(self, outs: DenseOutputs, image: int,
                           boxes: Tensor, coefficients: Tensor) -> Tensor:
        """Masks of the detections of one image.

        Args:
            outs: maps of the batch.
            image: index into the batch.
            boxes: (n, 4) in pixels of the network input.
            coefficients: (n, K) as gathered by :meth:`predict`.

        Returns:
            (n, h, w) probabilities at stride 2, zero outside the boxes.
        """
        index = torch.zeros(
            len(boxes), dtype=torch.long, device=boxes.device)
        logits = self.mask_logits(outs.basis[image:image + 1], boxes,
                                  coefficients, index).contiguous()
        inside = crop_split_gt(
            torch.ones_like(logits), boxes.float() / self.mask_stride,
            self.splits)
        return (logits.sigmoid() * inside).permute(2, 0, 1)

    def mask_logits(self, basis: Tensor, boxes: Tensor, coefficients: Tensor,
                    image_index: Tensor) -> Tensor:
        """Masks of points.

        Args:
            basis: (B, M, h, w).
            boxes: (P, 4) in pixels of the network input.
            coefficients: (P, K).
            image_index: (P,) int64 image of each point, ascending.

        Returns:
            (h, w, P) float32 logits.
        """
        raise NotImplementedError

    def loss(self, key_feats: tuple[Tensor, ...],
             ref_feats: tuple[Tensor, ...], key_gt: GroundTruth,
             ref_gt: GroundTruth) -> dict[str, Tensor]:
        """Losses of key and reference frames of B clips.

        Args:
            key_feats: pyramid of the key frames.
            ref_feats: pyramid of the reference frames.
            key_gt: objects of the key frames, with masks.
            ref_gt: objects of the reference frames.
        """
        raise NotImplementedError

    def predict(self, outs: DenseOutputs,
                metas: Sequence[FrameMeta]) -> list[InstanceData]:
        """Detections of each frame, best first.

        Args:
            outs: maps of B frames.
            metas: ``img_shape`` and ``scale_factor`` of each frame.

        Returns:
            For each frame ``bboxes`` (n, 4) in original pixels, ``scores``,
            ``labels`` (from 0), ``embeds`` (n, T) track vectors,
            ``mask_probs`` (n, h, w) at stride 2 of the input,
            ``class_probs`` (n,) and ``centernesses`` (n,), of which the
            scores are the product, times their certainty, and, where
            the head predicts them, ``box_sigmas`` (n, 4), standard
            deviations of x1, y1, x2, y2 as fractions of the width and height
            of the frame without padding, and ``uncertainties`` (n,), the
            mean of the four in the unit of the head.
        """
        picked = self._candidates(outs)
        height, width = (s * self.mask_stride for s in outs.basis.shape[-2:])
        self.check_input(height, width)
        results = []
        for b, meta in enumerate(metas):
            boxes, scores, ctr = (
                picked.boxes[b], picked.scores[b], picked.centernesses[b])
            limit_h, limit_w = meta['img_shape'][:2] \
                if self.clip_boxes == 'image' else (height, width)
            upper = boxes.new_tensor([limit_w, limit_h] * 2) - self.box_offset
            boxes = torch.minimum(boxes.clamp(min=0), upper)
            quality = ctr if picked.sigmas is None else (
                ctr * self.certainty(picked.sigmas[b]))
            boxes, scores, labels, keep = fast_nms(
                boxes, (scores * quality[:, None]).t(),
                iou_thr=self.test_cfg['nms_iou_thr'],
                score_thr=self.test_cfg['score_thr'],
                pre_nms=self.test_cfg['nms_pre'],
                max_per_img=self.test_cfg['max_per_img'],
                rule=self.test_cfg['nms'])
            middle = centres(boxes)
            image_index = torch.full_like(keep, b)
            coefficients = vectors_at(
                outs.track_map, middle, image_index, self.strides[0]
            ) if picked.coefficients is None else picked.coefficients[b, keep]
            scale = boxes.new_tensor([*meta['scale_factor'][:2]] * 2)
            result = InstanceData(
                bboxes=boxes / scale,
                scores=scores,
                labels=labels,
                class_probs=picked.scores[b, keep, labels],
                centernesses=ctr[keep],
                embeds=vectors_at(outs.track_map, middle, image_index,
                                  self.strides[0], self.vector_rounding),
                mask_probs=self.mask_probabilities(outs, b, boxes,
                                                   coefficients))
            if picked.sigmas is not None:
                inside_h, inside_w = meta['img_shape'][:2]
                whole = boxes.new_tensor(
                    [*self.unit_wh(height, width)] * 2)
                result.box_sigmas = self.image_sigmas(
                    picked.sigmas[b, keep], boxes / whole) * (
                        whole / whole.new_tensor([inside_w, inside_h] * 2))
                result.uncertainties = picked.sigmas[b, keep].mean(-1)
            results.append(result)
        return results

    def _candidates(self, outs: DenseOutputs) -> Candidates:
        """The ``nms_pre`` best points of each level of each frame."""
        scores = [flatten_level(x).float().sigmoid() for x in outs.cls_scores]
        ctrs = [flatten_level(x).float().sigmoid() for x in outs.centernesses]
        best = [
            (s * c).amax(-1).topk(
                min(self.test_cfg['nms_pre'], s.shape[1]), dim=1)[1]
            for s, c in zip(scores, ctrs, strict=True)
        ]

        def pick(levels: list[Tensor]) -> Tensor:
            return torch.cat([
                x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))
                for x, index in zip(levels, best, strict=True)
            ], 1)

        return Candidates(
            pick([x.float() for x in outs.boxes]), pick(scores),
            pick(ctrs)[..., 0], None if outs.coefficients is None else pick(
                [flatten_level(x) for x in outs.coefficients]),
            None if outs.sigmas is None else pick(
                [x.float() for x in outs.sigmas]))
