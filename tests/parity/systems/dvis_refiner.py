"""The offline refiner of DVIS-DAQ, and its form in DVIS++: inputs, layers,
results of videos, losses."""
from __future__ import annotations

from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.models.segmenters.mask2former import FrameQueries
from mmvis_memcnp.models.truth.clip_truth import ClipTruth
from mmvis_memcnp.models.vis import VIS
from mmvis_memcnp.models.vis.dvis_daq_offline import (
    Followed,
    best_tracks,
    collect,
)
from mmvis_memcnp.models.vis.offline import OfflineVIS, VideoRows
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import CONFIGS, Recorder, Results, to_numpy

NETWORK = CONFIGS / '_base_/models/mask2former_r50.py'
SYSTEM = CONFIGS / '_base_/models/dvis_daq_offline.py'

#: Names of the losses here and there.
LOSSES = dict(loss_cls='ce', loss_mask='mask', loss_dice='dice')

#: What scores are made of.
SCORES = {
    'refiner only': False,
    'elementwise maximum of softmax(refiner) and softmax(mean online logits)':
    True}

#: Which stage of the training a case is.
CASES = {'one assignment from the online outputs for all layers': 0,
         'each layer matched on its own outputs': 1}

#: What the model cannot be told.
FIXED = dict(
    train=dict(
        mode='train', dropout=0.0, normaliser='objects of the clip',
        masks='frames stacked vertically (T * h, w) before sampling',
        random=dict(points='every random point set is points')),
    test=dict(
        whole_video=True, mask_thr=0.0,
        mask_resize='bilinear to padded_hw, crop, bilinear to ori_hw, '
        'logits > 0'),
    targets=dict(
        objects_never_present='dropped', label_base=0,
        canvas='unpadded frame; pad with zeros to padded_hw'))


class Online(VIS):
    """An online system without parts: what it says is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.segmenter = nn.Identity()


class Replayed(OfflineVIS):
    """An offline system whose rows were followed already.

    Args:
        tracked (VideoRows): Of one video.
        kwargs: See :class:`OfflineVIS`.
    """

    def __init__(self, tracked: VideoRows, **kwargs):
        super().__init__(online=Online(), **kwargs)
        self.tracked = tracked

    def track(self, frames) -> VideoRows:
        return self.tracked

    def follow(self, clips: Tensor) -> tuple[VideoRows, Tensor]:
        """Of the one clip, whose mask features are given."""
        return VideoRows._make(x[None] for x in self.tracked), clips


class StoredFrame:
    """The mask features of a frame, (1, D, h, w)."""

    def __init__(self, mask_features: Tensor) -> None:
        self.mask_features = mask_features


def check(fixture: Fixture) -> None:
    """Refuse what the model cannot be told."""
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            found = fixture.run[block].get(key, value)
            if found != value:
                raise ManifestError(
                    f'{block}.{key} is {found!r}; supported: {value!r}')
    for text in fixture.run['train']['cases'].values():
        if text not in CASES:
            raise ManifestError(f'train.cases has {text!r}; supported: '
                                f'{sorted(CASES)}')


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    check(fixture)
    init_default_scope('mmdet')
    collected = dict(daq=tracked_daq, dvispp=tracked_dvispp)
    found: Results = {}
    for item in fixture.run['inputs']:
        part = item['part']
        if part not in collected:
            raise ManifestError(f'inputs has the part {part!r}; supported: '
                                f'{sorted(collected)}')
        arrays = {name: torch.from_numpy(np.asarray(value))
                  for name, value in fixture.arrays(part).items()}
        named, tracked = collected[part](fixture, part, arrays)
        model = build(fixture, part, tracked)
        named.update(layers(model, arrays, part))
        named.update(results(model, arrays, fixture.inputs(part)))
        outputs = {
            f'{part}/{stem}{suffix}': value for stem, value in named.items()
            for suffix in ('', '_stats', '_strided')}
        for file, values in (
                ('outputs.npz', outputs),
                ('losses.npz', losses(fixture, model, arrays, part))):
            found.update({(part, file, name): to_numpy(value)
                          for name, value in values.items()})
    return found


# -- the rows -----------------------------------------------------------------
def tracked_daq(fixture: Fixture, part: str, arrays: dict):
    """Rows of the instances that the tracker left, and the rest."""
    test = fixture.run['test']['parts'][part]
    start, length, _ = arrays['hub_start_len_dead'].T
    logits = arrays['hub_logits'].transpose(0, 1)
    time = torch.arange(len(logits))[:, None]
    alive = (time >= start) & (time < start + length)
    times, ids = alive.nonzero(as_tuple=True)
    followed = Followed(
        times, ids, arrays['hub_embeds'][ids, times],
        arrays['hub_pos_embeds'][ids], logits[times, ids],
        arrays['hub_masks'][ids, times])
    queries = arrays['segmenter_embeds']
    count = queries.shape[1]
    # Each of the stored masks is a feature that its query alone reads.
    own = torch.eye(count).expand(len(queries), -1, -1)
    found = FrameQueries(
        queries[None], queries[None], arrays['segmenter_logits'][None],
        own[None], None, arrays['segmenter_masks'].transpose(0, 1))
    chosen, means = best_tracks(
        followed, len(queries), test['noise_frame_num'],
        min(test['offline_topk'], count))
    tracked = collect(followed, found, chosen, means)
    # Which query of the first frame each of the others continues.
    first = {tuple(v): i for i, v in enumerate(queries[0].tolist())}
    filled = [first[tuple(v)]
              for v in tracked.rows[0, len(chosen):].tolist()]
    padding = torch.zeros(count, len(logits), dtype=torch.bool)
    padding[:len(chosen)] = ~alive[:, chosen].T
    named = {
        'collect/num_tracked': len(chosen),
        'collect/row_source': torch.cat((chosen, torch.tensor(
            filled, dtype=torch.long))),
        'collect/instance_embeds': tracked.rows,
        'collect/padding_mask': padding,
        'collect/online_logits': tracked.logits,
        'collect/online_masks': tracked.masks.transpose(0, 1)}
    return named, tracked


def tracked_dvispp(fixture: Fixture, part: str, arrays: dict):
    """As many rows as there are queries, in all frames."""
    return {}, VideoRows(
        arrays['instance_embeds'], arrays['frame_embeds_no_norm'],
        arrays['online_logits'].mean(0),
        arrays['online_masks'].transpose(0, 1))


# -- the model ----------------------------------------------------------------
def build(fixture: Fixture, part: str, tracked: VideoRows) -> Replayed:
    """The shipped model with the fixture's numbers and weights."""
    cfg = Config.fromfile(NETWORK)
    cfg.merge_from_dict(
        dict(model=Config.fromfile(SYSTEM).dvis_daq_offline.to_dict()))
    model = cfg.model
    arch, train = fixture.run['arch']['parts'][part], fixture.run['train']
    test = fixture.run['test']['parts'][part]
    if test['score'] not in SCORES:
        raise ManifestError(f'test.parts.{part}.score is {test["score"]!r}; '
                            f'supported: {sorted(SCORES)}')
    model.refiner.update(
        num_classes=arch['num_classes'], num_layers=arch['layers'],
        embed_dims=arch['d'], num_heads=arch['heads'],
        feedforward_channels=arch['ffn'], mask_dims=arch['mask_dim'],
        local_conv=arch['local_conv'])
    costs, weights = model.matcher.costs, train['matcher']
    costs.cls.weight = weights['cls']
    costs.mask.update(
        mask_weight=weights['mask'], dice_weight=weights['dice'])
    model.loss.no_object_weight = train['no_object_weight']
    for name, key in LOSSES.items():
        model.loss[f'{name[5:]}_weight'] = train['loss_weights'][key]
    built = Replayed(
        tracked, refiner=model.refiner, matcher=model.matcher,
        loss=model.loss,
        with_online_scores=SCORES[test['score']],
        ranking=dict(model.ranking, num_pairs=test['top_k']))
    # The fixture has the refiner's tensors alone.
    state = KEY_MAPS['dvis_daq'].convert({
        f'refiner.{k}': torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()})
    check_against(built, state)
    built.load_state_dict(state, strict=True)
    return built


@torch.no_grad()
def layers(model: Replayed, arrays: dict, part: str) -> dict:
    """All layers, as in training."""
    refiner, recorder = model.refiner.train(), Recorder()
    for i, layer in enumerate(refiner.layers):
        recorder.watch(f'layer{i}/time_attn', layer.time_norm)
        for name, norm in zip(('cross_attn', 'obj_attn', 'ffn'), layer.norms,
                              strict=True):
            recorder.watch(f'layer{i}/{name}', norm)
        if layer.conv is not None:
            recorder.watch(f'layer{i}/conv_norm', layer.conv_norm)
    recorder.watch('norm', refiner.norm)
    recorder.watch('weights', refiner.time_weight)
    rows = model.tracked.rows
    logits, embeds = refiner(
        rows[None], model.tracked.frames[None], all_layers=True)
    named = {}
    for key in [k for k in recorder.calls if k.startswith('layer')]:
        value = recorder.take(key)[0]
        over_time = key.endswith(('time_attn', 'conv_norm'))
        named[key] = value.transpose(0, 1) if over_time else value
    masks = torch.einsum(
        'ltnd,tdhw->lnthw', embeds[:, 0], arrays['mask_features'])
    named.update({
        'train/pred_logits': logits[-1, 0],
        'train/pred_masks': masks[-1],
        'train/pred_embds': recorder.take('norm')[0][-1, 0]
        if part == 'dvispp' else named[f'layer{len(logits) - 1}/ffn'],
        'train/class_time_weights': recorder.take('weights')[0][
            -1, 0, ..., 0].softmax(0)})
    for i in range(len(logits) - 1):
        named[f'train/aux{i}_logits'] = logits[i, 0]
        named[f'train/aux{i}_masks'] = masks[i]
    return named


def results(model: Replayed, arrays: dict, item: dict) -> dict:
    """Tracks of the video."""
    model.eval()
    session = model.session()
    size = tuple(item['ori_hw'])
    rows: list[Tensor] = []
    decode = model.decode

    def kept(*args):
        found = decode(*args)
        rows.extend(found.rows.tolist())
        return found

    with mock.patch.object(model, 'decode', kept):
        for t, features in enumerate(arrays['mask_features']):
            session.take(StoredFrame(features[None]), dict(
                img_shape=tuple(item['image_hw']), ori_shape=size,
                batch_input_shape=tuple(item['padded_hw']), frame_id=t))
        tracks = session.finish().tracks
    masks = np.stack([np.stack([
        np.zeros(size, bool) if rle is None else
        coco_mask.decode(rle).astype(bool) for rle in x.segmentations])
        for x in tracks])
    return {
        'result/scores': np.array([x.score for x in tracks]),
        'result/labels': np.array([x.label for x in tracks]),
        'result/row': np.array([rows[x.id] for x in tracks]),
        'result/masks_area': masks.sum((2, 3)), 'result/masks_packed': masks}


# -- losses -------------------------------------------------------------------
def clip_truth(fixture: Fixture, part: str, labels: np.ndarray) -> ClipTruth:
    """The objects that are there, on the padded input."""
    target = fixture.targets(part)
    here = np.asarray(target['present']).any(1)
    masks = torch.from_numpy(np.asarray(target['masks'])[here]).bool()
    height, width = fixture.inputs(part)['padded_hw']
    padded = masks.new_zeros(*masks.shape[:2], height, width)
    padded[..., :masks.shape[2], :masks.shape[3]] = masks
    count, frames = masks.shape[:2]
    boxes = torch.zeros(1, count, frames, 4)
    return ClipTruth(
        torch.from_numpy(np.asarray(labels, np.int64))[None], boxes, boxes,
        padded[None],
        torch.from_numpy(np.asarray(target['present'])[here]).bool()[None],
        torch.ones(1, count, dtype=torch.bool),
        torch.tensor([[width, height]]).expand(1, frames, 2).float())


@torch.no_grad()
def losses(fixture: Fixture, model: Replayed, arrays: dict,
           part: str) -> dict:
    """One training step in each stage, on stored points."""
    target, named = fixture.targets(part), {}
    here = np.asarray(target['present']).any(1)
    labels = np.asarray(target['labels'])[here]
    named[f'{part}/target/official_ids'] = np.where(
        np.asarray(target['present']), np.arange(len(here))[:, None],
        -1)[here]
    if target['label_of_object'] != 'maximum over frames':
        # As the released code takes it: of the last frame, none if absent.
        labels = fixture.npz('losses.npz')[f'{part}/target/official_labels']
    else:
        named[f'{part}/target/official_labels'] = labels
    truth = clip_truth(fixture, part, labels)
    points = arrays['points'].float()
    frames = len(arrays['mask_features'])
    model.train()
    for case, text in fixture.run['train']['cases'].items():
        model.stage = CASES[text]
        seen = []

        def kept(*args, match=model.matcher.match, seen=seen):
            seen.append(match(*args))
            return seen[-1]

        with mock.patch(
                'mmvis_memcnp.models.losses.sampled_mask.uncertain_points',
                lambda logits, *_: points.expand(len(logits), -1, -1)), \
                mock.patch.object(model.matcher, 'match', kept), mock.patch(
                    'torch.rand', lambda *_, **__: of_each_frame(
                        points, frames)[None]), mock.patch(
                    'mmvis_memcnp.models.vis.mask2former_vis.collect_clips',
                    lambda *_, **__: truth):
            values = model.loss(arrays['mask_features'][None], [])
        best = seen[0].best[-1, 0]
        query, gt = best.sort()
        named.update({f'{part}/{case}/match_query': query,
                      f'{part}/{case}/match_gt': gt})
        for ours, theirs in LOSSES.items():
            named[f'{part}/{case}/loss_{theirs}'] = values[ours]
            for i in range(len(model.refiner.layers) - 1):
                named[f'{part}/{case}/loss_{theirs}_{i}'] = values[
                    f'd{i}.{ours}']
    return named


def of_each_frame(points: Tensor, frames: int) -> Tensor:
    """Points (P, 2) of T frames below each other as those of each frame,
    (P / T, 2), which are the same in all."""
    y = points[:, 1].view(frames, -1) * frames
    y = y - torch.arange(frames)[:, None]
    x = points[:, 0].view(frames, -1)
    if ((y - y[0]).abs().max() > 1e-4 or (x - x[0]).abs().max() > 1e-6
            or y.min() < 0 or y.max() > 1):
        raise ManifestError('points: supported are the same in each frame')
    return torch.stack((x[0], y[0]), 1)
