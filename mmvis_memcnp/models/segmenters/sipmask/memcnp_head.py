"""SipMask's head with MemCNP."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from ....ops import crop_split_gt
from ...layers import (
    FeatureAlign,
    aligned_iou,
    centreness,
    distances_to_sides,
    jitter_boxes,
    sides_to_boxes,
)
from ...layers.masks import prototype_logits, vectors_at
from ...losses.sipmask import MaskLoss, match_cross_entropy
from ...memcnp.bank import memory_target
from ...memcnp.distribution import distances_to_boxes, split_distribution
from ...memcnp.losses import target_uncertainty
from ...truth.ground_truth import GroundTruth
from .base import DenseHead, DenseOutputs, flatten_level


@MODELS.register_module()
class MemCNPSipMaskHead(DenseHead):
    """Dense head that predicts a distribution of each box.

    The class tower's vector z of a point and the context r that the memory
    returns for it give a mean and a standard deviation of the box (paper
    section 3.2). USS picks the samples that train boxes, classes, masks and
    track vectors (3.3); track vectors, which also serve as mask coefficients,
    are trained by contrast (3.4). Layout as in the released code.

    Args:
        memcnp: the memory, ``dict(type='MemCNP', num_items=128)``; ``None``
            gives the same head without memory and distribution, the
            counterpart for cost and ablation.
        assigner: sample selection; needs sigmas if it is USS.
        loss_cnp: probabilistic loss; ``None`` trains no distribution.
        loss_track: contrast (eq 16); ``None`` matches by cross entropy as the
            host does.
        track_anchors: where the key frame's track vectors are taken for the
            contrast: ``'candidates'`` (centres of the selected boxes, as
            the paper says) or ``'ground_truth'`` (centres of the objects).
        point_targets: which object a point is written into the memory with.
        centreness_level: ``'own'`` computes the centre-ness at every point;
            ``'finest'`` on the finest level only, the coarser ones being
            bilinear reductions of it, as in the released code.
        ref_jitter: random shift and scale of the reference boxes in
            training, a fraction of their size.
        temperature: of the cosine similarity in the accuracy that is logged.
        kwargs: see :class:`DenseHead`.
    """

    def __init__(self,
                 num_classes: int,
                 memcnp: dict | None = None,
                 assigner: dict | None = None,
                 loss_cls: dict | None = None,
                 loss_bbox: dict | None = None,
                 loss_cnp: dict | None = None,
                 loss_track: dict | None = None,
                 track_anchors: str = 'candidates',
                 point_targets: dict | None = None,
                 centreness_level: str = 'own',
                 ref_jitter: float = 0.05,
                 temperature: float = 0.1,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        if track_anchors not in ('candidates', 'ground_truth'):
            raise ValueError(f'track_anchors is {track_anchors!r}; use '
                             "'candidates' or 'ground_truth'.")
        if centreness_level not in ('own', 'finest'):
            raise ValueError(f'centreness_level is {centreness_level!r}; use '
                             "'own' or 'finest'.")
        if loss_cnp is not None and memcnp is None:
            raise ValueError('loss_cnp trains a distribution that a head '
                             'without memcnp does not predict: give memcnp, '
                             'or set loss_cnp=None.')
        self.track_anchors = track_anchors
        self.centreness_level = centreness_level
        self.ref_jitter = ref_jitter
        self.temperature = temperature
        width = self.feat_channels
        self.cls_convs = self._tower(self.stacked_convs - 1, last_relu=False)
        self.mask_convs = self._tower(self.stacked_convs)
        self.track_convs = self._tower(self.stacked_convs - 1)
        self.memcnp = MODELS.build(memcnp) if memcnp else None
        joint = width + (self.memcnp.out_dims if self.memcnp else 0)
        self.fcos_reg = nn.Conv2d(
            joint, 8 if self.memcnp else 4, 3, padding=1)
        self.fcos_centerness = nn.Conv2d(width, 1, 3, padding=1)
        self.cls_align = FeatureAlign(
            joint, width, offset_std=0.01, norm_cfg=self.norm_cfg)
        self.mask_align = FeatureAlign(
            width, width, offset_std=0.01, norm_cfg=self.norm_cfg)
        self.fcos_cls = nn.Conv2d(width, num_classes, 3, padding=1)
        self.track_fuse = nn.Conv2d(3 * width, width, 1)
        self.mask_fuse = nn.Conv2d(3 * width, width, 1)

        self.assigner = TASK_UTILS.build(assigner or dict(
            type='USSAssigner' if self.memcnp else 'FCOSPointAssigner'))
        self.point_targets = TASK_UTILS.build(
            point_targets or dict(type='SmallestBoxTarget'))
        self.loss_cls = MODELS.build(loss_cls or dict(
            type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25,
            reduction='none'))
        self.loss_bbox = MODELS.build(
            loss_bbox or dict(type='GIoULoss', reduction='none'))
        self.loss_cnp = MODELS.build(loss_cnp) if loss_cnp else None
        self.loss_track = MODELS.build(loss_track) if loss_track else None
        self.loss_mask = MaskLoss(min_side=4., clamp=True, weight_eps=1e-9)

    def _track_map(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Track vectors (B, width, H, W) at the first stride."""
        levels = []
        for x in feats[:3]:
            for conv in self.track_convs:
                x = conv(x)
            levels.append(x)
        return self.track_fuse(self._fuse(levels))

    def _input_hw(self, feats: tuple[Tensor, ...]) -> tuple[int, int]:
        """Height and width of the padded input that made a pyramid."""
        return (feats[0].shape[-2] * self.strides[0],
                feats[0].shape[-1] * self.strides[0])

    def class_features(self, x: Tensor) -> Tensor:
        """Class tower of one level: the vectors z that query the memory."""
        for conv in self.cls_convs:
            x = conv(x)
        return x

    def forward(
        self,
        feats: tuple[Tensor, ...],
        memory: tuple[list[Tensor], list[Tensor]] | None = None
    ) -> DenseOutputs:
        """Maps of a pyramid of B frames.

        Args:
            feats: pyramid; levels beyond the head's strides are not used.
            memory: in training, for each level the targets y (B, H * W, 4)
                and the points (B, H * W) bool to be written into the memory.
        """
        feats = feats[:len(self.strides)]
        height, width = self._input_hw(feats)
        unit = feats[0].new_tensor([width, height] * 2, dtype=torch.float32)
        points = self.points(list(feats))
        cls_scores, boxes, sigmas, ctrs, mask_feats = [], [], [], [], []
        for level, (x, scale, stride) in enumerate(
                zip(feats, self.scales, self.strides, strict=True)):
            cls_feat = self.class_features(x)
            if self.memcnp is not None:
                written = () if memory is None else (m[level] for m in memory)
                context = self.memcnp(flatten_level(cls_feat), *written)
                cls_feat = torch.cat([
                    cls_feat,
                    context.transpose(1, 2).unflatten(2, x.shape[-2:]).to(
                        cls_feat.dtype)
                ], 1)
            mask_feat = x
            for conv in self.mask_convs:
                mask_feat = conv(mask_feat)
            raw = self.fcos_reg(cls_feat).float()
            if self.memcnp is not None:
                sides, sigma = split_distribution(raw.permute(0, 2, 3, 1))
                raw = sides.permute(0, 3, 1, 2)
                sigmas.append(sigma.flatten(1, 2))
            sides = raw.sigmoid()
            shift = scale(sides * unit.view(1, 4, 1, 1)) / stride
            cls_scores.append(self.fcos_cls(self.cls_align(cls_feat, shift)))
            ctrs.append(self.fcos_centerness(mask_feat))
            if level < 3:
                mask_feats.append(self.mask_align(mask_feat, shift))
            boxes.append(
                distances_to_boxes(points[level] / unit[:2],
                                   flatten_level(sides)) * unit)
        # A 1x1 convolution commutes with the interpolation; before it, it
        # costs a sixteenth.
        basis = F.relu(
            F.interpolate(
                self.mask_fuse(self._fuse(mask_feats)),
                scale_factor=self.strides[0] // self.mask_stride,
                mode='bilinear',
                align_corners=False))
        return DenseOutputs(
            cls_scores, boxes, ctrs, basis, self._track_map(feats),
            sigmas=sigmas or None)

    def mask_probabilities(self, outs: DenseOutputs, image: int,
                           boxes: Tensor, coefficients: Tensor) -> Tensor:
        """See :meth:`DenseHead.mask_probabilities`."""
        index = torch.zeros(
            len(boxes), dtype=torch.long, device=boxes.device)
        logits = prototype_logits(outs.basis[image:image + 1],
                                  coefficients[:, None], index)[:, 0]
        probs = logits.float().sigmoid().permute(1, 2, 0).contiguous()
        return crop_split_gt(probs, boxes.float() / self.mask_stride,
                             1).permute(2, 0, 1)

    def loss(self, key_feats: tuple[Tensor, ...],
             ref_feats: tuple[Tensor, ...], key_gt: GroundTruth,
             ref_gt: GroundTruth) -> dict[str, Tensor]:
        """Losses of key and reference frames of B clips.

        Args:
            key_feats: pyramid of the key frames.
            ref_feats: pyramid of the reference frames.
            key_gt: objects of the key frames, with masks.
            ref_gt: objects of the reference frames.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_centerness``, ``loss_seg``,
            ``loss_match``, with a distribution ``loss_cnp`` (eq 13), and
            ``match_acc`` in percent.
        """
        key_feats = key_feats[:len(self.strides)]
        sizes = [(f.shape[-2], f.shape[-1]) for f in key_feats]
        levels = self.points(list(key_feats))
        counts = [len(p) for p in levels]
        points = torch.cat(levels)
        height, width = input_hw = self._input_hw(key_feats)
        unit = key_gt.boxes.new_tensor([width, height] * 2)

        target = self.point_targets(points, key_gt.boxes, key_gt.valid)
        y = memory_target(target.ltrb, input_hw)
        outs = self(key_feats,
                    (y.split(counts, 1), target.inside.split(counts, 1)))
        boxes = torch.cat(outs.boxes, 1)
        sigma = torch.cat(outs.sigmas, 1) if outs.sigmas else None
        cls = torch.cat([flatten_level(x) for x in outs.cls_scores],
                        1).float()
        ctr = torch.cat([flatten_level(x) for x in outs.centernesses],
                        1)[..., 0].float()

        inside, ctr_target = self._centreness(points, sizes, key_gt)
        picked = self.assigner.match(
            *self.priors(levels),
            key_gt.boxes,
            key_gt.valid,
            sigmas=None if sigma is None else sigma.detach(),
            centreness_map=ctr_target)
        image, point = picked.pos.nonzero(as_tuple=True)
        gt = picked.gt_index[image, point]
        labels = key_gt.labels[image, gt]
        with_gt = key_gt.valid.any(1)
        frames = with_gt.sum().clamp(min=1)
        per_frame = picked.pos.sum(1).clamp(min=1)

        classes = torch.full_like(picked.gt_index, self.num_classes)
        classes[image, point] = labels
        focal = self.loss_cls(cls.flatten(0, 1), classes.flatten()).sum(-1)
        focal = focal.view_as(classes) * (picked.pos | picked.neg)
        losses = dict(
            loss_cls=(focal.sum(1) / per_frame * with_gt).sum() / frames)

        pos_boxes, pos_gt = boxes[image, point], key_gt.boxes[image, gt]
        share = 1 / (per_frame * frames)[image]
        # The second term is the zero that keeps a batch without a positive
        # on the graph.
        losses['loss_bbox'] = (self.loss_bbox(pos_boxes, pos_gt) *
                               share).sum() + pos_boxes.sum() * 0
        bce = F.binary_cross_entropy_with_logits(
            ctr, ctr_target, reduction='none') * inside
        losses['loss_centerness'] = (
            bce.sum(1) / inside.sum(1).clamp(min=1)).mean()

        prob = cls.detach()[image, point, labels].sigmoid()
        if self.loss_cnp is not None and sigma is not None:
            iou = aligned_iou(pos_boxes.detach(), pos_gt, offset=1)
            losses['loss_cnp'] = self.loss_cnp(
                mu=pos_boxes / unit,
                sigma=sigma[image, point],
                phi=ctr_target[image, point],
                gt_index=image * key_gt.valid.shape[1] + gt,
                gt_boxes=(key_gt.boxes / unit).flatten(0, 1),
                uncertainty=target_uncertainty(prob, iou),
                num_points=sum(counts),
                num_images=frames)

        vectors = vectors_at(outs.track_map, _centres(pos_boxes), image,
                             self.strides[0])
        losses['loss_seg'] = self.loss_mask(
            lambda keep, used: prototype_logits(outs.basis, vectors[
                keep, None], image[keep])[:, 0].permute(1, 2, 0).float(),
            pos_boxes, pos_gt, prob, image, gt, key_gt,
            outs.basis.shape[-2:], self.mask_stride) * len(cls) / frames
        losses.update(
            self._match(outs.track_map, self._track_map(ref_feats), vectors,
                        image, key_gt.ids[image, gt], key_gt, ref_gt))
        return losses

    def _centreness(self, points: Tensor, sizes: list[tuple[int, int]],
                    gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """Which points lie in (or on) a box, and how central they are.

        Args:
            points: (N, 2) of all levels, pixels.
            sizes: (H, W) of each level.
            gt: objects of B frames.

        Returns:
            (B, N) bool, and (B, N) the largest centre-ness in any box, 0
            outside all.
        """
        sides = distances_to_sides(points[:, None], gt.boxes[:, None])
        inside = ((sides.amin(-1) >= 0) & gt.valid[:, None]).any(-1)
        best = (centreness(sides) * gt.valid[:, None]).amax(-1)
        if self.centreness_level == 'own':
            return inside, best
        finest = best[:, :sizes[0][0] * sizes[0][1]].view(-1, 1, *sizes[0])
        return inside, torch.cat([
            F.interpolate(
                finest, size=size, mode='bilinear',
                align_corners=False).flatten(1) for size in sizes
        ], 1)

    def _match(self, track_map: Tensor, ref_map: Tensor, vectors: Tensor,
               image: Tensor, ids: Tensor, key_gt: GroundTruth,
               ref_gt: GroundTruth) -> dict[str, Tensor]:
        """Loss of the track vectors.

        Args:
            track_map: (B, C, H, W) of the key frames.
            ref_map: (B, C, H, W) of the reference frames.
            vectors: (P, C) at the centres of the selected boxes.
            image: (P,) clip of each of them.
            ids: (P,) identity of each of them.
            key_gt: objects of the key frames.
            ref_gt: objects of the reference frames.
        """
        stride = self.strides[0]
        ref_at, ref_clip = _flatten_objects(
            jitter_boxes(ref_gt.boxes, self.ref_jitter))
        ref_vectors = vectors_at(ref_map, ref_at, ref_clip, stride)
        shape = (*ref_gt.ids.shape, -1)
        if self.loss_track is None:
            return match_cross_entropy(vectors,
                                       ref_vectors.view(shape)[image], ids,
                                       ref_gt.ids[image], image, len(ref_map))
        # The host's matching on the contrastive scale, for the log.
        with torch.no_grad():
            accuracy = match_cross_entropy(
                F.normalize(vectors.float(), dim=1) / self.temperature,
                F.normalize(ref_vectors.float(),
                            dim=1).view(shape)[image], ids,
                ref_gt.ids[image], image, len(ref_map))['match_acc']
        if self.track_anchors == 'ground_truth':
            key_at, key_clip = _flatten_objects(key_gt.boxes)
            known = key_gt.valid.flatten()
            vectors = vectors_at(track_map, key_at, key_clip, stride)[known]
            ids = key_gt.ids.flatten()[known]
        known = ref_gt.valid.flatten()
        loss = self.loss_track(vectors, ids, ref_vectors[known],
                               ref_gt.ids.flatten()[known])
        return dict(loss_match=loss, match_acc=accuracy)

    def uncertainty_maps(self, feats: tuple[Tensor, ...]) -> list[Tensor]:
        """Mean standard deviation of the box sides at every point.

        Args:
            feats: pyramid of B frames.

        Returns:
            (B, H, W) of each level, fractions of the input's sides.

        Raises:
            ValueError: if the head predicts no distribution.
        """
        outs = self(feats)
        if outs.sigmas is None:
            raise ValueError('This head has no memcnp, so there is no '
                             'uncertainty to map: use a MemCNP config.')
        return [
            sigma.mean(-1).view(-1, *cls.shape[-2:])
            for sigma, cls in zip(outs.sigmas, outs.cls_scores, strict=True)
        ]

    def memory_lookup(self, feats: tuple[Tensor, ...], level: int, y: int,
                      x: int, topk: int = 5) -> tuple[Tensor, Tensor]:
        """Memory items that a point of the first frame retrieves (Fig. 7).

        Args:
            feats: pyramid.
            level: pyramid level of the point.
            y: row of the point on that level.
            x: column of the point on that level.
            topk: number of items.

        Returns:
            Similarities (k,) and the items' boxes (k, 4) around the point,
            x1, y1, x2, y2 as fractions of the network input.
        """
        if self.memcnp is None:
            raise ValueError('This head has no memory to look into: use a '
                             'MemCNP config.')
        z = self.class_features(feats[level][:1])[:, :, y, x]
        _, scores, distances = self.memcnp.bank.top_items(z, topk)
        height, width = self._input_hw(feats)
        point = self.points(list(feats[:len(self.strides)]))[level].view(
            *feats[level].shape[-2:], 2)[y, x]
        return scores[0], sides_to_boxes(
            (point / point.new_tensor([width, height])).expand(topk, 2),
            distances[0])


def _centres(boxes: Tensor) -> Tensor:
    """Centres (P, 2) of boxes (P, 4), without gradient."""
    return (boxes[:, :2] + boxes[:, 2:]).detach() / 2


def _flatten_objects(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (B * G, 2) and clips (B * G,) of padded boxes (B, G, 4)."""
    clip = torch.arange(len(boxes), device=boxes.device)
    return _centres(boxes.flatten(0, 1)), clip.repeat_interleave(
        boxes.shape[1])
