"""Model, session and training batch of the two runners of SipMask."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.models.truth.ground_truth import GroundTruth
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    Recorder,
    Results,
    padded_truth,
    to_numpy,
)

#: What the systems here cannot be told: a manifest that says something else
#: is refused rather than answered with other numbers.
FIXED = dict(
    arch=dict(deform_groups=4),
    test=dict(mask_thr=0.5, nms='fast, per class', whole_video=False,
              video_score='mean of frame scores', video_label='majority'),
    train=dict(dropout=0.0, loss_weights='all 1, plain sum'))


def check_fixed(run: dict, **more: dict) -> None:
    """Refuse a run block with a setting that is not supported.

    Args:
        run: of the manifest.
        more: for each block, the only supported value of further settings.

    Raises:
        ManifestError: naming the setting.
    """
    for block, fixed in FIXED.items():
        for key, value in {**fixed, **more.get(block, {})}.items():
            if run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {run[block][key]!r}; supported: '
                    f'{value!r}')


def build_model(fixture: Fixture, part: str, config: Path,
                overrides: dict | None = None) -> nn.Module:
    """The model of an ``_official`` config with the fixture's weights.

    Args:
        fixture: what to reproduce.
        part: whose weights to load.
        config: config file; sizes and thresholds come from the fixture.
        overrides: model settings of this part.
    """
    init_default_scope('mmdet')
    run = fixture.run
    arch, test = run['arch'], run['test']
    cfg = Config.fromfile(config)
    model_cfg = cfg.model
    head = model_cfg.bbox_head
    head.update(
        num_classes=arch['num_classes'],
        in_channels=arch['channels'],
        feat_channels=arch['channels'],
        stacked_convs=arch['stacked_convs'],
        strides=tuple(arch['strides']))
    head.test_cfg.update(
        score_thr=test['score_thr'],
        nms_iou_thr=test['nms_iou'],
        nms_pre=test['pre_nms'],
        max_per_img=test['max_per_img'])
    tracker = test['tracker']
    model_cfg.tracker.association.update(
        {k: tracker[k]
         for k in ('temperature', 'similarity', 'new_object_logit',
                   'score_weight', 'iou_weight', 'label_weight')})
    model_cfg.neck.update(
        num_outs=arch['fpn_outs'], out_channels=arch['channels'])
    if arch['vit']:
        vit = arch['vit']
        model_cfg.neck.in_channels = [vit['dim']] * len(vit['out_blocks'])
        model_cfg.backbone.update(
            patch_size=vit['patch'],
            embed_dims=vit['dim'],
            depth=vit['depth'],
            num_heads=vit['heads'],
            out_blocks=tuple(vit['out_blocks']),
            out_scales=tuple(vit['out_scales']),
            reset_cls_after=tuple(vit['reset_cls_after']),
            pos_grid=tuple(vit['pos_grid']),
            norm_eps=vit['ln_eps'])
    else:
        model_cfg.backbone.update(
            style=arch['backbone_style'],
            frozen_stages=arch['backbone_frozen_stages'])
    if overrides:
        cfg.merge_from_dict(dict(model=overrides))
    model = MODELS.build(copy.deepcopy(cfg.model))
    official = {
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()
    }
    state = KEY_MAPS[run['system']].convert(official)
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


def loss_features(model: nn.Module, key: Tensor,
                  ref: Tensor) -> tuple[tuple[Tensor, ...], ...]:
    """Pyramids of key and reference frames, with gradients."""
    model.train()
    return model.extract_feat(key), model.extract_feat(ref)


def inference(fixture: Fixture, model: nn.Module,
              watch_head) -> Results:
    """Run the clips of the inference part through a session.

    Args:
        fixture: what to reproduce.
        model: as built by :func:`build_model`.
        watch_head: ``f(recorder, head)`` that registers hooks and returns a
            function from the recorder to ``{name: per-level list or
            tensor}`` of one frame.
    """
    part, file = 'inference', 'outputs.npz'
    out: Results = {}
    item = fixture.inputs(part)
    model.eval()
    recorder = Recorder()
    head = model.bbox_head
    recorder.watch('backbone', model.backbone)
    recorder.watch('neck', model.neck)
    frame_maps = watch_head(recorder, head)
    scale = item['scale_factor']
    (clip, ) = fixture.frames(part)
    session = model.session()
    for t, frame in enumerate(torch.from_numpy(clip)):
        meta = dict(
            img_shape=tuple(fixture.run['test']['image_hw']),
            ori_shape=tuple(item['ori_hw']),
            scale_factor=(scale, scale),
            batch_input_shape=tuple(frame.shape[-2:]),
            frame_id=t)
        height, width = (inside / side for inside, side in zip(
            meta['img_shape'], frame.shape[-2:], strict=True))
        share = torch.tensor([width, height] * 2)
        with torch.no_grad():
            detections = model.encode(frame[None], [meta])[0]
            before = copy.deepcopy(session.state)
            comp = model.tracker.step(before.tracks, detections)[0].scores
            tracked = model.associate(before, detections)
            (result, ) = session.take(detections, meta)
        named: dict[str, Any] = {}
        for stem in ('backbone', 'neck'):
            for i, fmap in enumerate(recorder.take(stem)[0]):
                stem_name = 'fpn' if stem == 'neck' else stem
                named[f'{stem_name}{i}_sub'] = fmap
                named[f'{stem_name}{i}_stats'] = fmap
        named.update(frame_maps(recorder))
        order = tracked.instances_id.argsort()
        tracked = tracked[order]
        masks = _decode(result.masks, item['ori_hw'])[order.numpy()]
        named.update(
            dets=detection_rows(detections, share),
            det_labels=detections.labels,
            comp_scores=comp,
            ids=tracked.instances_id,
            id_bbox=detection_rows(tracked, share),
            id_label=tracked.labels,
            id_mask_area=masks.sum((1, 2)),
            id_masks_packed=masks)
        for name, value in named.items():
            out[part, file, f't{t}_{name}'] = to_numpy(value)
    tracks = session.finish().tracks
    out[part, file, 'video_scores'] = np.array([x.score for x in tracks])
    out[part, file, 'video_cats'] = np.array(
        [x.label + fixture.run['targets']['label_base'] for x in tracks])
    out[part, file, 'video_obj_ids'] = np.array([x.id for x in tracks])
    out[part, file, 'video_present'] = np.array(
        [[s is not None for s in x.segmentations] for x in tracks])
    return out


def _decode(rles: list[dict], size: list[int]) -> np.ndarray:
    if not rles:
        return np.zeros((0, *size), bool)
    return coco_mask.decode(list(rles)).transpose(2, 0, 1).astype(bool)


def detection_rows(dets, share: Tensor) -> Tensor:
    """Boxes, score, and with a distribution sigmas and centre-ness.

    The released sigmas are fractions of the padded input, cut at 1; the
    package's are fractions of the frame, which is ``share`` (4,) of that.
    """
    rows = [dets.bboxes, dets.scores[:, None]]
    if 'box_sigmas' in dets:
        rows += [(dets.box_sigmas * share).clamp(max=1),
                 dets.centernesses[:, None]]
    return torch.cat(rows, 1)


def loss_batch(
        fixture: Fixture) -> tuple[Tensor, Tensor, GroundTruth, GroundTruth]:
    """Key frames, reference frames and their objects.

    Identities: object i of clip b is i * B + b in both frames, so that the
    stored index into the reference boxes becomes an identity.
    """
    target = fixture.targets()
    (clip, ) = fixture.frames('losses')
    frames = torch.from_numpy(clip)
    pairs = target['pairs']
    batch = len(pairs)
    key, ref = [], []
    for pair in pairs:
        b = pair['b']
        ref_ids = np.arange(len(target['ref_boxes'][b])) * batch + b
        index = target['ref_index'][b]
        own = (1000 + np.arange(len(index))) * batch + b
        ids = np.where(index > 0, ref_ids[np.maximum(index - 1, 0)], own)
        key.append((target['boxes'][b],
                    target['labels'][b] - target['label_base'], ids,
                    target['masks'][b]))
        ref.append((target['ref_boxes'][b], np.zeros(len(ref_ids), int),
                    ref_ids, None))
    return (frames[[p['key_frame'] for p in pairs]],
            frames[[p['ref_frame'] for p in pairs]],
            *(padded_truth(objects, [frames.shape[2:]] * batch)
              for objects in (key, ref)))
