"""Losses of matched queries against mmdet's, layer by layer."""
import pytest
import torch
from mmdet.models.losses import DiceLoss, FocalLoss, GIoULoss
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy

from mmvis_memcnp.models.losses import IDOLLoss
from mmvis_memcnp.models.truth import GroundTruth, Matches

LAYERS, BATCH, QUERIES, CLASSES = 3, 2, 7, 4
WH = torch.tensor([[64., 32.], [48., 24.]])


def truth(masks=True):
    """Two objects in the first frame, one in the second; small masks."""
    boxes = torch.tensor([[[4., 4, 24, 20], [30, 8, 60, 30]],
                          [[8., 0, 40, 24], [0, 0, 0, 0]]])
    drawn = torch.zeros(2, 2, 32, 64, dtype=torch.bool)
    for b in range(2):
        for g in range(2):
            x1, y1, x2, y2 = boxes[b, g].int().tolist()
            drawn[b, g, y1:y2, x1:x2] = True
    valid = torch.tensor([[True, True], [True, False]])
    return GroundTruth.of(boxes, WH, torch.tensor([[1, 3], [0, 0]]),
                          torch.arange(4).view(2, 2), valid,
                          drawn[..., 2::4, 2::4] if masks else None)


def predictions(seed=0):
    g = torch.Generator().manual_seed(seed)
    index = torch.full((LAYERS, BATCH, QUERIES), -1)
    index[0, 0, 2] = 0
    index[1, 0, [1, 4]] = torch.tensor([1, 0])
    index[1, 1, 6] = 0
    index[2, 1, [0, 3]] = 0
    matches = Matches(index)
    logits = torch.randn(LAYERS, BATCH, QUERIES, CLASSES, generator=g)
    boxes = torch.rand(LAYERS, BATCH, QUERIES, 4, generator=g) * .5 + .2
    masks = torch.randn(len(matches.gt), 8, 16, generator=g)
    return logits, boxes, masks, matches


def test_equals_mmdet_layer_by_layer():
    gt = truth()
    logits, boxes, masks, matches = predictions()
    out = IDOLLoss()(logits, boxes, masks, matches, gt)
    assert len(out) == 5 * LAYERS
    for layer in range(LAYERS):
        prefix = '' if layer == LAYERS - 1 else f'd{layer}.'
        here = matches.layer == layer
        frame, query, index = (x[here] for x in matches.pairs[1:])
        n = int(here.sum())
        target = torch.full((BATCH, QUERIES), CLASSES)
        target[frame, query] = gt.labels[frame, index]
        focal = FocalLoss(gamma=2., alpha=.25, loss_weight=2.)(
            logits[layer].flatten(0, 1), target.flatten(), avg_factor=n)
        goal = gt.boxes[frame, index] / torch.cat((WH, WH), 1)[frame]
        own = bbox_cxcywh_to_xyxy(boxes[layer, frame, query])
        middle = torch.cat(((goal[:, :2] + goal[:, 2:]) / 2,
                            goal[:, 2:] - goal[:, :2]), 1)
        l1 = (boxes[layer, frame, query] - middle).abs().sum() * 5 / n
        giou = GIoULoss(loss_weight=2.)(own, goal, avg_factor=n)
        pixels = gt.masks[frame, index].float()
        mask = torch.stack([
            FocalLoss(gamma=2., alpha=.25, loss_weight=2.)(
                m.reshape(-1, 1), 1 - t.reshape(-1).long(),
                avg_factor=t.numel()) for m, t in zip(
                    masks[here], pixels, strict=True)]).sum() / n
        dice = DiceLoss(naive_dice=True, eps=1., loss_weight=5.,
                        reduction='none')(masks[here], pixels)
        expected = dict(loss_cls=focal, loss_bbox=l1, loss_giou=giou,
                        loss_mask=mask, loss_dice=dice.sum() / n)
        for name, value in expected.items():
            assert float(out[prefix + name]) == pytest.approx(
                float(value), rel=1e-4), prefix + name


def test_no_pair_at_all():
    logits, boxes, _, _ = predictions()
    logits.requires_grad_()
    masks = torch.zeros(0, 8, 16, requires_grad=True)
    matches = Matches(torch.full((LAYERS, BATCH, QUERIES), -1))
    out = IDOLLoss()(logits, boxes, masks, matches, truth())
    sum(out.values()).backward()
    assert out['loss_cls'] > 0 and out['loss_dice'] == out['loss_bbox'] == 0
    assert logits.grad.isfinite().all() and masks.grad is not None


def test_bad_masks_are_refused():
    logits, boxes, masks, matches = predictions()
    loss = IDOLLoss()
    with pytest.raises(ValueError, match='mask_stride'):
        loss(logits, boxes, masks[:, 1:], matches, truth())
    with pytest.raises(ValueError, match='need masks'):
        loss(logits, boxes, masks, matches, truth(masks=False))
