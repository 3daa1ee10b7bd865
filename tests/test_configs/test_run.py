"""Every config trains and predicts, scaled down."""
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from .trees import NAMES, config_of

WIDTH = 32
RESNET = dict(
    type='ResNet', depth=18, base_channels=8, num_stages=4,
    out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN'))
VIT = dict(
    embed_dims=WIDTH, num_heads=2, depth=3, out_blocks=(0, 1, 2),
    reset_cls_after=(0, 1, 2), init_cfg=None)


def small_model(name: str):
    """The model of a config with few channels; all else as it says."""
    init_default_scope('mmdet')
    cfg = config_of(name).model
    if cfg.backbone.type == 'MAEViT':
        cfg.backbone.update(VIT)
        cfg.neck.in_channels = [WIDTH] * 3
    else:
        cfg.backbone = RESNET
        cfg.neck.in_channels = [8, 16, 32, 64]
    cfg.neck.out_channels = WIDTH
    head = cfg.bbox_head
    head.update(
        in_channels=WIDTH, feat_channels=WIDTH,
        norm_cfg=dict(type='GN', num_groups=8))
    head.test_cfg.score_thr = 0.
    if head.type == 'SipMaskHead':
        head.update(basis_channels=8, track_channels=16)
    elif head.get('memcnp'):
        head.memcnp.update(feat_dims=WIDTH, hidden_dims=WIDTH)
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    if head.type == 'SipMaskHead':
        # Boxes large enough for a mask; they start empty.
        torch.nn.init.constant_(model.bbox_head.fcos_reg.bias, 3.)
    return model


def frame(shift: int) -> DetDataSample:
    """A frame 112x150 with two objects, moved to the right."""
    boxes = np.array([[8, 8, 88, 72], [60, 40, 120, 104]], np.float32)
    boxes[:, ::2] += shift
    masks = np.zeros((2, 112, 150), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = 1
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(112, 150), ori_shape=(112, 150),
            scale_factor=(1., 1.), frame_id=shift // 4))
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes), labels=torch.tensor([0, 1]),
        instances_ids=torch.tensor([1, 2]), masks=BitmapMasks(masks, 112, 150))
    return sample


def clips() -> dict:
    """Two clips of a key and a reference frame, as a loader gives them."""
    torch.manual_seed(0)
    samples = [
        TrackDataSample(
            metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]),
            video_data_samples=[frame(0), frame(4)]) for _ in range(2)
    ]
    inputs = torch.randint(0, 256, (2, 2, 3, 112, 150), dtype=torch.uint8)
    return dict(inputs=list(inputs), data_samples=samples)


@pytest.mark.parametrize('name', NAMES)
def test_trains_and_predicts(name):
    model = small_model(name)
    head = model.bbox_head
    losses = model(
        **model.data_preprocessor(clips(), training=True), mode='loss')
    plain = type(head).__name__ == 'SipMaskHead'
    memory = getattr(head, 'memcnp', None)
    assert losses.keys() == {
        'loss_cls', 'loss_bbox', 'loss_centerness', 'loss_match', 'match_acc',
        'loss_mask' if plain else 'loss_seg'
    } | ({'loss_cnp'} if memory is not None else set())
    parts = [v for k, v in losses.items() if k.startswith('loss')]
    assert all(torch.isfinite(v) and v > 0 for v in parts)
    sum(parts).backward()
    assert next(model.neck.parameters()).grad.abs().sum() > 0
    if memory is not None:
        read_out = memory.bank.mlp.fc1.weight.grad
        assert read_out.abs().sum() > 0

    model.eval()
    result = model(
        **model.data_preprocessor(clips(), training=False),
        mode='predict')[0].pred_tracks
    assert result.num_frames == 2 and len(result.tracks) > 0
    has_sigma = {s is not None for t in result.tracks
                 for s, mask in zip(t.sigmas, t.segmentations, strict=True)
                 if mask is not None}
    assert has_sigma == {memory is not None}
    assert all(t.label < head.num_classes for t in result.tracks)
