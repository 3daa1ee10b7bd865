"""SipMask's head with MemCNP."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from ...layers import FeatureAlign
from ...layers.masks import centres, prototype_logits, vectors_at
from ...layers.sizes import size_tensor
from ...losses.sipmask import MaskLoss
from ...memcnp import distances_to_boxes, split_distribution
from ...memcnp.hosts.keys import point_key
from ...memcnp.hosts.sipmask import point_cnp_loss
from ...truth.ground_truth import GroundTruth
from .base import DenseHead, DenseOutputs, flatten_level
from .memcnp_losses import (
    box_loss,
    centreness_loss,
    class_loss,
    track_losses,
)
from .memcnp_targets import centreness_targets, owners, selected_points


@MODELS.register_module()
class MemCNPSipMaskHead(DenseHead):
    """Dense head that predicts a distribution of each box.

    The class tower's vector z of a point and the context r that the memory
    returns for it give a mean and a standard deviation of the box (paper
    section 3.2). USS picks the samples that train boxes, classes, masks and
    track vectors (3.3); track vectors, which also serve as mask coefficients,
    are trained by contrast (3.4). Layout as in the released code.

    Args:
        memcnp: the memory with its rules of training,
            ``dict(type='MemCNP', num_items=128, training=dict(...))``; see
            ``point_key``. ``None`` gives the same head without memory and
            distribution, the counterpart for cost and ablation.
        assigner: sample selection of a head without ``memcnp``, by default
            that of FCOS.
        loss_track: contrast (eq 16) of a head without ``memcnp``; ``None``
            matches by cross entropy as the host does.
        track_anchors: where the key frame's track vectors are taken for the
            contrast: ``'candidates'`` (centres of the selected boxes, as
            the paper says) or ``'ground_truth'`` (centres of the objects).
        centreness_level: see :func:`centreness_targets`. ``'finest'`` also
            lets USS and the mixing weights use the largest centre-ness in
            any box, as in the released code, in place of that in the point's
            own (eqs 9, 15).
        side_unit: (width, height) in pixels of the network input. The
            distances from a point to the left and right side of its box are
            predicted as a fraction of the first, to top and bottom of the
            second. Take the largest width and height that training shows,
            or more: a box that reaches further from its point cannot be
            said. ``None`` takes the size of the padded input, as released:
            convolutions do not see that size, so that boxes are wrong in
            inputs of another shape than those of the training.
        kwargs: see :class:`DenseHead`.

    Raises:
        ValueError: for an unknown option, a rule of a head without
            memory beside ``memcnp``, or, later, an input more than twice as
            large as ``side_unit``.
    """

    def __init__(self,
                 num_classes: int,
                 memcnp: dict | None = None,
                 assigner: dict | None = None,
                 loss_cls: dict | None = None,
                 loss_bbox: dict | None = None,
                 loss_track: dict | None = None,
                 track_anchors: str = 'candidates',
                 centreness_level: str = 'own',
                 side_unit: tuple[int, int] | None = None,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        if track_anchors not in ('candidates', 'ground_truth'):
            raise ValueError(f'track_anchors is {track_anchors!r}; use '
                             "'candidates' or 'ground_truth'.")
        if centreness_level not in ('own', 'finest'):
            raise ValueError(f'centreness_level is {centreness_level!r}; use '
                             "'own' or 'finest'.")
        if side_unit is not None and min(side_unit) < 1:
            raise ValueError(f'side_unit must be positive, got {side_unit}.')
        key, loss_cnp = None, None
        if memcnp:
            for name, rule, own in (('assigner', assigner, 'assigner'),
                                    ('loss_track', loss_track, 'contrast')):
                if rule is not None:
                    raise ValueError(
                        f'{name} is that of a head without memcnp: set '
                        f'memcnp.training.{own} in its place.')
            key = point_key(memcnp)
            assigner, loss_cnp, loss_track = (
                key.training[name]
                for name in ('assigner', 'loss', 'contrast'))
        self.track_anchors = track_anchors
        self.centreness_level = centreness_level
        self.side_unit = side_unit
        width = self.feat_channels
        self.cls_convs = self._tower(self.stacked_convs - 1, last_relu=False)
        self.mask_convs = self._tower(self.stacked_convs)
        self.track_convs = self._tower(self.stacked_convs - 1)
        self.memcnp = key.build(feat_dims=width) if key else None
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

        self.assigner = TASK_UTILS.build(
            assigner or dict(type='FCOSPointAssigner'))
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

    def input_hw(self, feats: tuple[Tensor, ...]) -> tuple[int, int]:
        """Height and width of the padded input that made a pyramid."""
        return (feats[0].shape[-2] * self.strides[0],
                feats[0].shape[-1] * self.strides[0])

    def unit_wh(self, height: int, width: int) -> tuple[int, int]:
        """See :meth:`DenseHead.unit_wh`: ``side_unit``, if there is one."""
        return self.side_unit or (width, height)

    def check_input(self, height: int, width: int) -> None:
        """See :meth:`DenseHead.check_input`."""
        wide, high = self.unit_wh(height, width)
        if width > 2 * wide or height > 2 * high:
            raise ValueError(
                f'The input is {width}x{height} pixels, but boxes reach at '
                f'most {wide} and {high} pixels from their points: set '
                f'side_unit of the head to ({width}, {height}) and train, or '
                'resize to less.')

    def class_features(self, x: Tensor) -> Tensor:
        """Class tower of one level: the vectors z that query the memory."""
        for conv in self.cls_convs:
            x = conv(x)
        return x

    def forward(self,
                feats: tuple[Tensor, ...],
                truth: tuple[Tensor, Tensor] | None = None) -> DenseOutputs:
        """Maps of a pyramid of B frames.

        As published, each level first writes its points into the memory and
        then reads it, weighing the items by the similarities before its
        write.

        Args:
            feats: pyramid; levels beyond the head's strides are not used.
            truth: in training, the boxes (B, G, 4) as fractions of
                :meth:`unit_wh` and the (B, G) bool valid ones, to be written
                into the memory.
        """
        feats = feats[:len(self.strides)]
        size = self.input_hw(feats)
        unit, whole = (
            size_tensor([*sides] * 2, torch.float32, feats[0].device)
            for sides in (self.unit_wh(*size), size[::-1]))
        points = self.points(list(feats))
        cls_scores, boxes, sigmas, ctrs, mask_feats = [], [], [], [], []
        for level, (x, scale, stride) in enumerate(
                zip(feats, self.scales, self.strides, strict=True)):
            cls_feat = self.class_features(x)
            if self.memcnp is not None:
                z, scores = flatten_level(cls_feat), None
                if truth is not None:
                    scores = self.memcnp.write(z, points[level] / unit[:2],
                                               *truth)
                context = self.memcnp.read(z, scores)
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
                                   flatten_level(sides), whole / unit) * unit)
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

    def image_sigmas(self, sigmas: Tensor, boxes: Tensor) -> Tensor:
        """See :meth:`DenseHead.image_sigmas`."""
        assert self.memcnp is not None
        return self.memcnp.frame_sigmas(sigmas, boxes)

    def certainty(self, sigmas: Tensor) -> Tensor:
        """See :meth:`DenseHead.certainty`."""
        assert self.memcnp is not None
        return self.memcnp.certainty(sigmas)

    def mask_logits(self, basis: Tensor, boxes: Tensor, coefficients: Tensor,
                    image_index: Tensor) -> Tensor:
        """See :meth:`DenseHead.mask_logits`."""
        return prototype_logits(basis, coefficients[:, None],
                                image_index)[:, 0].permute(1, 2, 0).float()

    def loss(self, key_feats: tuple[Tensor, ...],
             ref_feats: tuple[Tensor, ...], key_gt: GroundTruth,
             ref_gt: GroundTruth) -> dict[str, Tensor]:
        """See :meth:`DenseHead.loss`.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_centerness``, ``loss_seg``,
            ``loss_match``, with a distribution ``loss_cnp`` (eq 13), and
            ``match_acc`` in percent.
        """
        key_feats = key_feats[:len(self.strides)]
        levels = self.points(list(key_feats))
        size = self.input_hw(key_feats)
        self.check_input(*size)
        unit = key_gt.boxes.new_tensor([*self.unit_wh(*size)] * 2)
        outs = self(key_feats, (key_gt.boxes / unit, key_gt.valid))
        boxes = torch.cat(outs.boxes, 1)
        sigmas = torch.cat(outs.sigmas, 1) if outs.sigmas else None
        cls = torch.cat([flatten_level(x) for x in outs.cls_scores],
                        1).float()
        ctr = torch.cat([flatten_level(x) for x in outs.centernesses],
                        1)[..., 0].float()

        inside, ctr_target = centreness_targets(
            torch.cat(levels),
            [(f.shape[-2], f.shape[-1]) for f in key_feats], key_gt,
            self.centreness_level)
        picked = self.assigner.match(
            *self.priors(levels),
            key_gt.boxes,
            key_gt.valid,
            sigmas=None if sigmas is None else sigmas.detach(),
            # By default that of a point in its own box.
            centreness_map=ctr_target
            if self.centreness_level == 'finest' else None)
        found = selected_points(picked.gt_index, cls, boxes, key_gt)
        with_gt = key_gt.valid.any(1)
        frames = with_gt.sum().clamp(min=1)

        losses = dict(
            loss_cls=class_loss(self.loss_cls, cls, picked, found, with_gt),
            loss_bbox=box_loss(self.loss_bbox, picked, found, with_gt),
            loss_centerness=centreness_loss(ctr, ctr_target, inside))
        if self.loss_cnp is not None and sigmas is not None:
            assert picked.centreness is not None
            inside_own = found
            owner = owners(torch.cat(levels), key_gt)
            if self.loss_cnp.sigma_samples != 'positives':
                inside_own = selected_points(owner, cls, boxes, key_gt)
            losses['loss_cnp'] = point_cnp_loss(
                self.loss_cnp, found, inside_own, sigmas,
                picked.centreness[found.image, found.point], key_gt.boxes,
                unit, frames, owner < 0)
        vectors = vectors_at(outs.track_map, centres(found.boxes),
                             found.image, self.strides[0])
        losses['loss_seg'] = self.loss_mask(
            lambda keep, used: self.mask_logits(
                outs.basis, used, vectors[keep], found.image[keep]),
            found.boxes, found.targets, found.probs, found.image, found.gt,
            key_gt, outs.basis.shape[-2:], self.mask_stride
        ) * len(cls) / frames
        losses.update(
            track_losses(self.loss_track, outs.track_map,
                         self._track_map(ref_feats), vectors, found.image,
                         key_gt.ids[found.image, found.gt], key_gt, ref_gt,
                         self.strides[0], self.ref_jitter,
                         self.track_anchors))
        return losses
