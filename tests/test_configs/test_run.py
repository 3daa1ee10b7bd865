"""Every config's model trains and predicts, scaled down.

Configs whose scaled-down model is the same share a run. The suite runs one of
each structure (the types of its parts, and which of them are left out), `-m
slow` all of them.
"""
import logging
import re
from functools import cache

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmvis_memcnp.datasets.class_counts import class_counts

from .trees import NAMES, config_of, leaves, network_of

WIDTH, FRAMES = 32, 3
RESNET = dict(
    type='ResNet', depth=18, base_channels=8, num_stages=4,
    norm_cfg=dict(type='BN'), norm_eval=True)
VIT = dict(
    embed_dims=WIDTH, num_heads=2, depth=3, out_blocks=(0, 1, 2),
    reset_cls_after=(0, 1, 2), init_cfg=None)
LAYERS = dict(
    num_layers=2, embed_dims=WIDTH, num_heads=2, feedforward_channels=32)


@cache
def small(name: str) -> ConfigDict:
    """The model of a config with few channels; all else as it says."""
    cfg = config_of(name).model
    net = network_of(cfg)
    if net.type == 'EoMTSegmenter':
        shrink_eomt(cfg)
        return cfg
    neck = net.get('neck') or net.pixel_decoder
    if net.backbone.type == 'MAEViT':
        net.backbone.update(VIT)
        neck.in_channels = [WIDTH] * 3
    else:
        # A Swin or a ResNeXt is a tested part of mmdet: test_backbones.py.
        stages = net.backbone.get('out_indices', range(4))[
            -len(neck.in_channels):]
        net.backbone = dict(RESNET, out_indices=stages)
        neck.in_channels = [8 * 2**i for i in stages]
    if 'pixel_decoder' in net:
        shrink_mask2former(cfg)
        return cfg
    neck.out_channels = WIDTH
    if 'bbox_head' in cfg:
        shrink_dense(cfg.bbox_head)
    else:
        shrink_queries(cfg)
    return cfg


def shrink_dense(head: ConfigDict) -> None:
    """A SipMask head; no detection is too weak."""
    head.update(
        in_channels=WIDTH, feat_channels=WIDTH,
        norm_cfg=dict(type='GN', num_groups=8))
    head.test_cfg.score_thr = 0.
    if head.type == 'SipMaskHead':
        head.update(basis_channels=8, track_channels=16)
    elif head.get('memcnp'):
        head.memcnp.update(feat_dims=WIDTH, hidden_dims=WIDTH)


def shrink_eomt(cfg: ConfigDict) -> None:
    """An encoder-only mask transformer of 24 queries, two of whose blocks
    have them; few points of a mask."""
    net = cfg.segmenter
    net.backbone.update(
        embed_dims=WIDTH, depth=3, num_heads=2, pos_grid=(4, 6),
        layer_scale=1., init_cfg=None)
    net.update(num_queries=24, num_blocks=2)
    cfg.matcher.costs.mask.num_points = cfg.loss.num_points = 64
    if cfg.get('memcnp'):
        cfg.memcnp.num_items = 8


def shrink_mask2former(cfg: ConfigDict) -> None:
    """A Mask2Former of 24 queries; few points of a mask, no instance is too
    weak."""
    net = cfg.segmenter
    net.pixel_decoder.update(mask_dims=16, num_groups=8)
    net.pixel_decoder.encoder.update(LAYERS)
    net.decoder.update(LAYERS, mask_dims=16, num_queries=24)
    cfg.matcher.costs.mask.num_points = cfg.loss.num_points = 64
    if 'tracker' not in cfg:
        cfg.score_thr = 0.
        return
    if 'init_score_thr' in cfg.tracker:
        cfg.tracker.update(init_score_thr=0., new_score_thr=0.)
    if cfg.tracker.type == 'AnchorTracker':
        cfg.tracker.update(LAYERS, mask_dims=16)
        # What of random weights begins an instance is left to chance.
        cfg.update({key: 0. for key in ('start_thr', 'score_thr', 'carry_thr')
                    if key in cfg})
        if cfg.slot_thr is not None:
            cfg.slot_thr = 0.
    if 'refiner' in cfg:
        cfg.refiner.update(LAYERS, mask_dims=16)
    if cfg.tracker.type in ('OccupancyTracker', 'ReferringTracker'):
        sizes = dict(LAYERS, mask_dims=16)
        if cfg.tracker.type == 'OccupancyTracker':
            del sizes['num_layers']
        cfg.tracker.update(sizes)


def shrink_queries(cfg: ConfigDict) -> None:
    """A Deformable DETR of 24 queries; no instance is too weak."""
    segmenter = cfg.segmenter
    segmenter.neck.norm_cfg.num_groups = 8
    segmenter.encoder.update(LAYERS)
    segmenter.decoder.update(LAYERS)
    segmenter.mask_branch.update(in_channels=WIDTH, hidden_channels=16)
    segmenter.num_queries = 24
    if 'embed_dims' in segmenter:
        segmenter.embed_dims = WIDTH
    for part in (cfg, cfg.get('test_cfg', {})):
        for key in part.keys() & {'score_thr', 'class_thr'}:
            part[key] = 0.
    if 'tracker' in cfg:
        cfg.tracker.update(init_score_thr=0., new_score_thr=0.)


@cache
def signature(name: str) -> str:
    """Equal for configs of the same scaled-down model."""
    return repr(sorted(leaves(small(name).to_dict())))


@cache
def structure(name: str) -> str:
    """Equal for configs that differ in numbers and options alone."""
    return repr(sorted(
        (key, value) for key, value in leaves(small(name).to_dict())
        if key.endswith('type') or value is None))


def runs() -> list:
    """A config of each model; those of a structure met before are slow."""
    models, structures, found = set(), set(), []
    for name in NAMES:
        model, kind = signature(name), structure(name)
        if model not in models:
            marks = [pytest.mark.slow] if kind in structures else []
            found.append(pytest.param(name, marks=marks))
        models.add(model)
        structures.add(kind)
    return found


def build(name: str) -> torch.nn.Module:
    """Weights with which boxes, masks and classes differ."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(small(name))
    logging.disable(logging.INFO)  # a line a parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    if hasattr(model, 'bbox_head'):
        if type(model.bbox_head).__name__ == 'SipMaskHead':
            # Boxes large enough for a mask; they start empty.
            torch.nn.init.constant_(model.bbox_head.fcos_reg.bias, 3.)
        return model
    parts = model.parts()
    rows = getattr(parts.get('tracker'), 'memcnp', parts.get('memcnp'))
    if hasattr(rows, 'box_branch'):
        torch.nn.init.normal_(rows.box_branch.last.weight, std=.1)
    if 'cls_branches' not in parts:
        return model
    for branch in parts['cls_branches']:
        torch.nn.init.normal_(branch.weight, std=.3)
        torch.nn.init.zeros_(branch.bias)
    for branch in parts['box_branches']:
        torch.nn.init.normal_(branch.last.weight, std=.1)
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


def clips(length: int) -> dict:
    """Two clips, as a loader gives them; the first frame is the key frame."""
    torch.manual_seed(0)
    samples = [
        TrackDataSample(
            metainfo=dict(key_frames_inds=[0],
                          ref_frames_inds=list(range(1, length))),
            video_data_samples=[frame(4 * t) for t in range(length)])
        for _ in range(2)
    ]
    inputs = torch.randint(0, 256, (2, length, 3, 112, 150), dtype=torch.uint8)
    return dict(inputs=list(inputs), data_samples=samples)


def clip_length(name: str) -> int:
    """Frames of a training clip of a config, at most three."""
    data = config_of(name).train_dataloader.dataset
    sampler = [d.clip_sampler for d in data.get('datasets', [data])
               if 'clip_sampler' in d]
    if not sampler:
        return 1
    return min(sampler[0].get('num_frames', 2), FRAMES)


def memory_of(model: torch.nn.Module) -> dict:
    """Parameters of the read-outs of MemCNP's memory, by name."""
    return {n: p for n, p in model.named_parameters()
            if re.search(r'(memcnp.*\.mlp|readout)\.fc1\.weight$', n)}


@pytest.mark.parametrize('name', runs())
def test_trains_and_predicts(name):
    model = build(name)
    cfg = small(name)
    head = cfg.get('bbox_head', cfg)
    memcnp = head.get('memcnp') is not None
    losses = model(
        **model.data_preprocessor(clips(clip_length(name)), training=True),
        mode='loss')
    terms = {k: v for k, v in losses.items() if 'loss' in k}
    assert len(terms) > 3
    assert all(torch.isfinite(v) and v > 0 for v in terms.values())
    sum(terms.values()).backward()
    parts = model.parts()
    # The first part that learns.
    frozen = cfg.get('segmenter', {}).get('frozen')
    reader = parts.get('refiner') or parts['tracker'] if frozen else (
        parts.get('neck') or parts.get('pixel_decoder')
        or parts['backbone'])
    first = next(p for p in reader.parameters()
                 if p.dim() >= (2 if frozen else 4))
    assert first.grad.abs().sum() > 0
    readouts = memory_of(model)
    assert bool(readouts) == memcnp
    assert all(p.grad.abs().sum() > 0 for p in readouts.values())

    model.eval()
    result = model(
        **model.data_preprocessor(clips(FRAMES), training=False),
        mode='predict')[0].pred_tracks
    assert result.num_frames == FRAMES and len(result.tracks) > 0
    seen = [sigmas for track in result.tracks for sigmas, mask in zip(
        track.sigmas, track.segmentations, strict=True) if mask is not None]
    assert {sigmas is not None for sigmas in seen} == {memcnp}
    classes, = class_counts(cfg)
    assert all(track.label < classes for track in result.tracks)


def test_every_config_is_run():
    """All by `-m slow`, and every structure, with and without MemCNP, of
    every system in the fast suite."""
    fast = {p.values[0] for p in runs() if not p.marks}
    every = {p.values[0] for p in runs()}
    assert {signature(n) for n in every} == set(map(signature, NAMES))
    assert {structure(n) for n in fast} == set(map(structure, NAMES))
