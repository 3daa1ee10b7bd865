"""DVIS-DAQ online: its network, tracker, results of videos, losses."""
from __future__ import annotations

import re
from unittest import mock

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.models.trackers.memories.base import row_sources
from mmvis_memcnp.models.truth import GroundTruth
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    CONFIGS,
    Recorder,
    Results,
    kept,
    pinned,
    to_numpy,
)

NETWORK = '_base_/models/mask2former_{}.py'
SYSTEM = CONFIGS / '_base_/models/dvis_daq.py'

#: Names of the losses here and there.
LOSSES = dict(loss_cls='ce', loss_mask='mask', loss_dice='dice')

#: How randomness is pinned.
RANDOM = dict(points='every random point set is points_grid',
              frames=r'all \d+ used',
              disappearance='never triggers: at most [0-3] objects')

#: What the model cannot be told.
FIXED = dict(
    train=dict(
        dropout=0.0, normaliser='matched pairs over all frames'),
    arch=dict(levels=3),
    test=dict(
        whole_video=True, mask_thr=0.0,
        mask_resize='bilinear to padded_hw, crop, bilinear to ori_hw, '
        'logits > 0'))


def check(fixture: Fixture) -> None:
    """Refuse what the model cannot be told."""
    run = fixture.run
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if run[block].get(key, value) != value:
                raise ManifestError(f'{block}.{key} is {run[block][key]!r}; '
                                    f'supported: {value!r}')
    for key, text in RANDOM.items():
        if not re.fullmatch(text, run['train']['random'][key]):
            raise ManifestError(
                f'train.random.{key} is {run["train"]["random"][key]!r}; '
                f'supported: {text!r}')
    if run['arch']['num_new_ins'] != run['arch']['num_queries']:
        raise ManifestError(
            f'arch.num_new_ins is {run["arch"]["num_new_ins"]}; supported is '
            'num_queries: each new instance has the anchor of a query')


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    check(fixture)
    parts = dict(inference=('outputs.npz', inference),
                 losses=('losses.npz', losses))
    out: Results = {}
    for item in fixture.run['inputs']:
        part = item['part']
        if part not in parts:
            raise ManifestError(f'inputs has the part {part!r}; supported: '
                                f'{sorted(parts)}')
        file, function = parts[part]
        out.update({(part, file, name): to_numpy(value)
                    for name, value in function(fixture, part).items()})
    return out


# -- the model ----------------------------------------------------------------
def model_config(fixture: Fixture) -> Config:
    """The shipped config with the fixture's numbers."""
    arch, test = fixture.run['arch'], fixture.run['test']
    cfg = Config.fromfile(CONFIGS / NETWORK.format(arch['backbone'])).model
    cfg.update(Config.fromfile(SYSTEM).dvis_daq)
    common = dict(embed_dims=arch['d'], num_heads=arch['heads'])
    segmenter = cfg.segmenter
    segmenter.update(
        frozen=True, embed_dims=arch['d'] if arch['reid_branch'] else None)
    segmenter.backbone.update(
        style=arch['backbone_style'],
        # None there is none at all, not even the stem.
        frozen_stages=arch['backbone_frozen_stages'] or -1, init_cfg=None)
    segmenter.pixel_decoder.update(mask_dims=arch['d'])
    segmenter.pixel_decoder.encoder.update(
        num_layers=arch['enc_layers'], **common)
    own = dict(num_classes=arch['num_classes'], mask_dims=arch['d'],
               feedforward_channels=arch['ffn'], **common)
    segmenter.decoder.update(num_queries=arch['num_queries'],
                             num_layers=arch['dec_layers'], **own)
    cfg.tracker.update(num_layers=arch['tracker_layers'],
                       num_slots=arch['num_slots'], **own)
    cfg.update(
        start_thr=test['aux_inference_select_threshold'],
        score_thr=test['inference_select_threshold'],
        slot_thr=test['dis_fg_threshold'] if test['ovis_infer'] else None,
        max_gap=test['kick_out_frame_num'],
        max_tracks=10**6)  # the released code has no limit
    cfg.ranking.num_pairs = test['top_k']
    cfg.track_filter.min_detections = test['noise_frame_num']
    train = fixture.run['train']
    weights = train['loss_weights']
    for ours, theirs in LOSSES.items():
        if weights[theirs] != weights[f'slot_{theirs}']:
            raise ManifestError(
                f'train.loss_weights of {theirs} and slot_{theirs} differ: '
                'rows and slots have the same')
        cfg.loss[f'{ours[5:]}_weight'] = weights[theirs]
    cfg.loss.no_object_weight = train['no_object_weight']
    cfg.carry_thr = train['training_select_threshold']
    cfg.num_frames = [train['clip_frames']] * 2
    cfg.matcher.costs.cls.weight = train['matcher']['cls']
    cfg.matcher.costs.mask.update(
        mask_weight=train['matcher']['mask'],
        dice_weight=train['matcher']['dice'])
    return cfg


def build_model(fixture: Fixture, part: str) -> nn.Module:
    """The model with the fixture's weights."""
    init_default_scope('mmdet')
    model = MODELS.build(model_config(fixture))
    state = KEY_MAPS['dvis_daq'].convert({
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()})
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


# -- inference ----------------------------------------------------------------
@torch.no_grad()
def inference(fixture: Fixture, part: str) -> dict:
    """The network on all frames, then the video frame by frame."""
    model, item = build_model(fixture, part).eval(), fixture.inputs(part)
    (clip, ), (plain_clip, ) = fixture.frames(part), fixture.clips(part)
    recorder = Recorder()
    recorder.watch('backbone', model.segmenter.backbone)
    recorder.watch('pixels', model.segmenter.pixel_decoder)
    model.segmenter.chunk = len(clip)
    found = model.segmenter(torch.from_numpy(clip))
    named: dict = {'input/first_frame': clip[0]}
    for i, fmap in enumerate(recorder.take('backbone')[0], 2):
        named[f'backbone/res{i}'] = fmap
    pixels = recorder.take('pixels')[0]
    for stride, memory in zip((32, 16, 8), pixels.memories, strict=True):
        named[f'pixel_decoder/s{stride}'] = memory
    named.update({
        'segmenter/mask_features': pixels.mask_features,
        'segmenter/pred_logits': found.logits[-1],
        'segmenter/pred_embds': found.queries[-1],
        'segmenter/pred_masks': found.masks()})
    if found.embeds is not None:
        named['segmenter/reid_embed'] = found.embeds[-1]
    sizes = dict(img_shape=plain_clip.shape[1:3],
                 ori_shape=tuple(item['ori_hw']),
                 batch_input_shape=clip.shape[-2:])
    session = model.session()
    for t in range(len(clip)):
        frame = found.frames(slice(t, t + 1))
        # Slots are stored, whether decisions need them or not.
        rows = model.rows(session.state.tracks, frame, True)
        session.take(frame, dict(sizes, frame_id=t))
        named.update({
            f'tracker/t{t}/{k}': v for k, v in frame_rows(
                model, frame, session.state, rows).items()})
    named.update(result(session, sizes['ori_shape']))
    return {stem + suffix: value for stem, value in named.items()
            for suffix in ('', '_stats', '_shape', '_strided')}


def frame_rows(model: nn.Module, frame, state, rows) -> dict[str, Tensor]:
    """What the tracker made of a frame, and its state behind it."""
    logits, embeds = model.tracker.predict(rows.hidden[-1, 0])
    masks = torch.einsum('qd,dhw->qhw', embeds,
                         model.tracker.mask_proj(frame.mask_features)[0])
    named = dict(
        states_last=rows.hidden[-1, 0], states_layer=rows.hidden[:, 0],
        logits_last=logits, masks_last=masks,
        alive_track_ids_after=state.ids,
        track_queries_after=state.tracks.queries[0],
        track_embeds_after=model.tracker.memory.read(
            state.tracks.anchors)[0])
    if rows.slots is not None:
        slots = rows.slots[-1, 0]
        named.update(slot_states=slots,
                     slot_logits=model.tracker.predict(slots)[0])
    return named


def result(session, size: tuple[int, int]) -> dict:
    """Tracks of the video."""
    tracks = session.finish().tracks
    # In the order of their beginning, without those that were dropped.
    kept = session.ranking.means()[0]
    masks = np.stack([
        np.stack([np.zeros(size, bool) if rle is None else
                  coco_mask.decode(rle).astype(bool)
                  for rle in x.segmentations]) for x in tracks])
    return {
        'result/scores': np.array([x.score for x in tracks]),
        'result/labels': np.array([x.label for x in tracks]),
        'result/track_row': np.array([kept.index(x.id) for x in tracks]),
        'result/masks_area': masks.sum((2, 3)), 'result/masks_packed': masks}


# -- losses -------------------------------------------------------------------
@torch.no_grad()
def losses(fixture: Fixture, part: str) -> dict:
    """One training step on stored targets in each stage."""
    model = build_model(fixture, part).train()
    (clip, ) = fixture.frames(part)
    found = model.segmenter(torch.from_numpy(clip))
    truth = ground_truth(fixture, part)
    points = torch.from_numpy(np.asarray(fixture.arrays(part)['points']))

    def grid(rows, *_, **__) -> Tensor:
        """The stored points, for every row."""
        return points.expand(len(rows) if isinstance(rows, Tensor) else rows,
                             -1, -1)

    named: dict = {}
    for case, options in fixture.run['train']['cases'].items():
        model.set_progress(options['iteration'], 160000)
        frames, held = [], []
        with mock.patch.object(
                model, 'follow', kept(model.follow, frames)), mock.patch(
                    'mmvis_memcnp.models.vis.dvis_daq.row_sources',
                    kept(row_sources, held)), pinned(grid):
            values = model.clip_losses(found, truth, 1)
        named.update({f'{case}/{k}': v for k, v in {
            **named_losses(values, len(model.tracker.layers)),
            **matched(frames[0], held, truth.valid)}.items()})
    return named


def named_losses(values: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Losses by the names of the arrays."""
    named = {}
    for ours, theirs in LOSSES.items():
        for prefix, count in (('', layers), ('slot_', layers - 1)):
            named[f'{prefix}loss_{theirs}'] = values[f'{prefix}{ours}']
            for i in range(count):
                named[f'{prefix}loss_{theirs}_{i}'] = values[
                    f'{prefix}d{i}.{ours}']
    return named


def matched(frames: list, held: list, valid: Tensor) -> dict[str, Tensor]:
    """Pairs of each frame; an object that goes on has one while it is absent,
    too.

    Args:
        frames: rows and slots of each frame.
        held: rows of the objects that go on into each, and which do.
        valid: (T, G) bool, objects that are there.
    """
    named: dict = {}
    for t, (rows, slots) in enumerate(frames):
        row = held[t][0].where(held[t][1], -1)[0]
        carried = row.argsort()[(row < 0).sum():]
        best = rows.best[0].clone()
        best[carried] = -1
        new = (best >= 0).nonzero()[:, 0]
        absent = carried[~valid[t, carried]]
        named.update({
            f't{t}/match_query': torch.cat((row[carried], best[new])),
            f't{t}/match_gt': torch.cat((carried, new)),
            f't{t}/num_queries': rows.logits.shape[2],
            f't{t}/logits_stats': rows.logits[-1],
            f't{t}/disappear_tgt_ids': absent})
        if slots is not None:
            named.update({
                f't{t}/slot_match_query': row[carried],
                f't{t}/slot_match_gt': carried,
                f't{t}/slot_disappear_tgt_ids': absent})
    return named


def ground_truth(fixture: Fixture, part: str) -> GroundTruth:
    """Objects of the frames of a clip on the padded input."""
    target = fixture.targets()
    masks = torch.from_numpy(np.asarray(target['masks'])).bool().transpose(
        0, 1)
    height, width = fixture.inputs(part)['padded_hw']
    padded = masks.new_zeros(*masks.shape[:2], height, width)
    padded[..., :masks.shape[2], :masks.shape[3]] = masks
    boxes = torch.from_numpy(np.asarray(target['boxes'], np.float32))
    valid = (boxes >= 0).all(-1)
    labels = torch.from_numpy(np.asarray(target['labels'], np.int64))
    labels = labels - fixture.run['targets']['label_base']
    ids = torch.arange(len(labels)).expand_as(valid)
    return GroundTruth.of(
        boxes, torch.ones(len(boxes), 2), labels.expand_as(valid), ids, valid,
        padded)
