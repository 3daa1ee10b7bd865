"""SipMask-VIS head."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from ....ops import crop_split
from ...layers import FeatureAlign, jitter_boxes, sides_to_boxes
from ...layers.masks import (
    centres,
    object_vectors,
    prototype_logits,
    vectors_at,
)
from ...losses.sipmask import MaskLoss, iou_loss, match_cross_entropy
from ...matching import FCOSPointAssigner
from ...truth.ground_truth import GroundTruth
from .base import DenseHead, DenseOutputs, flatten_level

INF = 1e8


@MODELS.register_module()
class SipMaskHead(DenseHead):
    """Dense head of SipMask-VIS: box, class, mask and track vector a point.

    A mask is assembled from a basis of 32 maps with four sets of
    coefficients, one for each quarter of the box (CropSplit). Source: Cao et
    al., SipMask, ECCV 2020, and its video branch.

    Args:
        regress_ranges: size in pixels of the boxes that each level regresses.
        center_radius: only points within this many strides of a box centre
            are positive.
        basis_channels: channels of the mask basis.
        track_channels: size of the track vectors.
        kwargs: see :class:`DenseHead`.
    """

    #: CropSplit: a quarter has coefficients of its own.
    splits = 2

    def __init__(self,
                 num_classes: int,
                 strides: tuple[int, ...] = (8, 16, 32, 64, 128),
                 regress_ranges: tuple[tuple[float, float], ...] = (
                     (-1, 64), (64, 128), (128, 256), (256, 512), (512, INF)),
                 center_radius: float = 1.5,
                 basis_channels: int = 32,
                 track_channels: int = 512,
                 loss_cls: dict | None = None,
                 **kwargs) -> None:
        super().__init__(
            num_classes, strides=strides, box_offset=1, **kwargs)
        if len(regress_ranges) != len(strides):
            raise ValueError(
                f'regress_ranges has {len(regress_ranges)} entries for '
                f'{len(strides)} strides: give one range for each level.')
        self.assigner = FCOSPointAssigner(
            regress_ranges, center_sampling=True, radius=center_radius,
            box_offset=self.box_offset)
        self.basis_channels = basis_channels
        width = self.feat_channels
        self.cls_convs = self._tower(self.stacked_convs - 1)
        self.reg_convs = self._tower(self.stacked_convs)
        self.track_convs = self._tower(self.stacked_convs - 1)
        self.fcos_cls = nn.Conv2d(width, num_classes, 3, padding=1)
        self.fcos_reg = nn.Conv2d(width, 4, 3, padding=1)
        self.fcos_centerness = nn.Conv2d(width, 1, 3, padding=1)
        self.feat_align = FeatureAlign(width, width, norm_cfg=self.norm_cfg)
        self.sip_cof = nn.Conv2d(width, 4 * basis_channels, 3, padding=1)
        self.sip_mask_lat0 = nn.Conv2d(3 * width, 2 * width, 1)
        self.sip_mask_lat = nn.Conv2d(
            2 * width, basis_channels, 3, padding=1)
        self.sipmask_track = nn.Conv2d(3 * width, track_channels, 1)
        self.loss_cls = MODELS.build(loss_cls or dict(
            type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25))
        self.loss_mask = MaskLoss(min_area=1.)

    def forward(self, feats: tuple[Tensor, ...]) -> DenseOutputs:
        """Maps of B frames; pyramid levels past the strides are unused."""
        feats = feats[:len(self.strides)]
        cls_scores, distances, ctrs, cofs = [], [], [], []
        reg_feats, track_feats = [], []
        for level, (x, scale, stride) in enumerate(
                zip(feats, self.scales, self.strides, strict=True)):
            cls_feat = reg_feat = track_feat = x
            for conv in self.cls_convs:
                cls_feat = conv(cls_feat)
            for conv in self.reg_convs:
                reg_feat = conv(reg_feat)
            if level < 3:
                for conv in self.track_convs:
                    track_feat = conv(track_feat)
                reg_feats.append(reg_feat)
                track_feats.append(track_feat)
            pred = scale(self.fcos_reg(reg_feat))
            aligned = self.feat_align(cls_feat, pred)
            cls_scores.append(self.fcos_cls(aligned))
            cofs.append(self.sip_cof(aligned))
            ctrs.append(self.fcos_centerness(reg_feat))
            distances.append(pred * stride)
        basis = F.relu(self.sip_mask_lat0(self._fuse(reg_feats)))
        basis = F.relu(self.sip_mask_lat(basis))
        basis = F.interpolate(
            basis,
            scale_factor=self.strides[0] // self.mask_stride,
            mode='bilinear',
            align_corners=False)
        boxes = [
            sides_to_boxes(points, flatten_level(d).float())
            for points, d in zip(
                self.points(distances), distances, strict=True)
        ]
        return DenseOutputs(cls_scores, boxes, ctrs, basis,
                            self.sipmask_track(self._fuse(track_feats)), cofs)

    def mask_logits(self, basis: Tensor, boxes: Tensor, coefficients: Tensor,
                    image_index: Tensor) -> Tensor:
        """See :meth:`DenseHead.mask_logits`; each quarter of a box by its own
        coefficients."""
        sets = coefficients.view(len(boxes), 4, self.basis_channels)
        logits = prototype_logits(basis, sets, image_index).float()
        return crop_split(
            logits.permute(1, 2, 3, 0).contiguous(),
            boxes.float() / self.mask_stride, self.splits)

    def loss(self, key_feats: tuple[Tensor, ...],
             ref_feats: tuple[Tensor, ...], key_gt: GroundTruth,
             ref_gt: GroundTruth) -> dict[str, Tensor]:
        """See :meth:`DenseHead.loss`.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_centerness``, ``loss_mask``,
            ``loss_match`` and ``match_acc`` (percent, for the log).
        """
        outs = self(key_feats)
        ref_track = self(ref_feats).track_map
        picked = self.assigner.match(
            *self.priors(self.points(outs.cls_scores)), key_gt.boxes,
            key_gt.valid)
        cls = torch.cat([flatten_level(x) for x in outs.cls_scores], 1)
        boxes = torch.cat(outs.boxes, 1)
        ctr = torch.cat([flatten_level(x) for x in outs.centernesses],
                        1)[..., 0]
        cofs = torch.cat([flatten_level(x) for x in outs.coefficients], 1)

        batch = len(cls)
        image, point, gt = picked.pairs
        assert picked.centreness is not None
        target = torch.full_like(picked.gt_index, self.num_classes)
        target[image, point] = key_gt.labels[image, gt]
        loss_cls = self.loss_cls(
            cls.flatten(0, 1).float(),
            target.flatten(),
            avg_factor=len(gt) + batch)

        pos_boxes, pos_gt = boxes[image, point], key_gt.boxes[image, gt]
        weight = picked.centreness[image, point]
        losses = dict(
            loss_cls=loss_cls,
            loss_bbox=iou_loss(pos_boxes, pos_gt, weight),
            loss_centerness=F.binary_cross_entropy_with_logits(
                ctr[image, point].float(), weight, reduction='sum') /
            max(len(gt), 1))

        probs = cls.detach()[image, point, key_gt.labels[image, gt]].sigmoid()
        losses['loss_mask'] = self.loss_mask(
            lambda keep, used: self.mask_logits(
                outs.basis, used, cofs[image, point][keep], image[keep]),
            pos_boxes, pos_gt, probs, image, gt, key_gt,
            outs.basis.shape[-2:], self.mask_stride)

        vectors = vectors_at(
            outs.track_map, centres(pos_boxes), image, self.strides[0])
        ref_vectors = object_vectors(
            ref_track, jitter_boxes(ref_gt.boxes, self.ref_jitter),
            self.strides[0])
        losses.update(
            match_cross_entropy(vectors, ref_vectors[image],
                                key_gt.ids[image, gt], ref_gt.ids[image],
                                image, batch))
        return losses
