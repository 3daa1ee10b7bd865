"""VidEoMT and EoMT: every frame's classes and masks, results, losses."""
from __future__ import annotations

from unittest import mock

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor

from mmvis_memcnp.converters import KEY_MAPS, check_against, guess_system
from mmvis_memcnp.models.truth import ClipTruth
from mmvis_memcnp.models.vis import VIS
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    CONFIGS,
    Recorder,
    Results,
    gradient_norms,
    to_numpy,
)
from tests.parity.systems.mask2former import LOSSES, pinned_points

FIXED = dict(
    train=dict(
        dropout=0.0, matching='first frame in which an object is seen',
        normaliser='objects times frames, min 1',
        absent='class of the object, empty mask'))


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if fixture.run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    parts = dict(square=video, wide=video, frames=masked_frames,
                 losses=losses)
    return {
        (item['part'], 'outputs.npz', f'{item["part"]}/{name}'):
        to_numpy(value) for item in fixture.run['inputs']
        for name, value in parts[item['part']](
            fixture, item['part']).items()}


def build(fixture: Fixture, part: str) -> tuple[VIS, dict[str, str]]:
    """The model with a part's weights, and its official names by ours."""
    init_default_scope('mmdet')
    arch = fixture.run['arch']
    official = {k: torch.from_numpy(np.asarray(v))
                for k, v in fixture.weights(part).items()}
    system = guess_system(official) or ''
    name = 'videomt' if system.startswith('videomt') else 'eomt'
    cfg = Config.fromfile(
        CONFIGS / f'videomt/{name}_vit-t_movingshapes.py').model
    cfg.segmenter.backbone.update(
        embed_dims=arch['d'], depth=arch['layers'], num_heads=arch['heads'],
        patch_size=arch['patch'], pos_grid=tuple(arch['pos_grid']))
    cfg.segmenter.update(
        num_classes=arch['num_classes'], num_queries=arch['num_queries'],
        num_blocks=arch['blocks'],
        norm_early=name == 'eomt' or arch['norm_early'])
    points = fixture.run['train']['points']
    cfg.matcher.costs.mask.num_points = cfg.loss.num_points = points
    model = MODELS.build(cfg)
    key_map = KEY_MAPS[system]
    state = key_map.convert(official)
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model, {key_map.rename(name): name
                   for name in key_map.join(official)}


def batch(fixture: Fixture, part: str) -> Tensor:
    """The clips of a part, (N, T, 3, H, W)."""
    return torch.from_numpy(np.stack(fixture.frames(part)))


@torch.no_grad()
def video(fixture: Fixture, part: str) -> dict:
    """A session: what each frame says, and the video's result."""
    model = build(fixture, part)[0].eval()
    recorder = Recorder()
    recorder.watch('logits', model.segmenter.cls_embed)
    (frames, ), item = batch(fixture, part), fixture.inputs(part)
    metas = [dict(img_shape=tuple(item['frames'][0][1:3]),
                  ori_shape=tuple(item['ori_hw']))] * len(frames)
    # Frames one by one and all at once are the same.
    both = []
    for steps in (1, len(frames)):
        session, masks = model.session(), []
        with mock.patch.object(
                model, 'follow', remembering(model.follow, masks)):
            for start in range(0, len(frames), steps):
                session.step(frames[start:start + steps],
                             metas[start:start + steps])
        both.append((torch.cat(recorder.take('logits')),
                     torch.cat(masks), session.finish()))
    for one, other in zip(both[0][:2], both[1][:2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    logits, masks, result = both[0]
    tracks, size = result.tracks, tuple(item['ori_hw'])
    return dict(
        logits=logits, masks=masks, track_ids=[x.id for x in tracks],
        track_labels=[x.label for x in tracks],
        track_scores=[x.score for x in tracks],
        track_masks_packed=np.stack([
            np.zeros(size, bool) if rle is None else
            coco_mask.decode(rle).astype(bool)
            for x in tracks for rle in x.segmentations
        ]).reshape(len(tracks), len(frames), *size))


def remembering(follow, masks: list):
    """``follow`` that keeps the masks of each frame."""

    def call(*args):
        found = follow(*args)
        masks.append(found[-1].masks())
        return found

    return call


@torch.no_grad()
def masked_frames(fixture: Fixture, part: str) -> dict[str, Tensor]:
    """Single frames whose queries look within their masks."""
    segmenter = build(fixture, part)[0].train().segmenter
    found = segmenter.layers(batch(fixture, part)[0])[-1]
    return dict(logits=found.logits[0], masks=found.masks())


def losses(fixture: Fixture, part: str) -> dict:
    """Losses of a batch of clips, matches and gradients."""
    model, names = build(fixture, part)
    truth = clip_truth(fixture)
    matches = []
    match_clips = model.matcher.match_clips
    with mock.patch('torch.rand', pinned_points(fixture)), mock.patch(
            'mmvis_memcnp.models.vis.videomt.collect_clips',
            lambda *_: truth), mock.patch.object(
                model.matcher, 'match_clips',
                lambda *args: matches.append(match_clips(*args))
                or matches[-1]):
        values = model.train().loss(batch(fixture, part), [])
    named: dict = {f'match_{i}': best[0] for i, best in enumerate(matches)}
    for ours in LOSSES:
        named[ours] = torch.stack(
            [values[f'd{i}.{ours}'] for i in range(len(matches) - 1)]
            + [values[ours]])
    norms = gradient_norms(model, sum(values.values()), names)
    named.update({f'gradnorm:{name}': value for name, value in norms.items()})
    return named


def clip_truth(fixture: Fixture) -> ClipTruth:
    """The objects of all clips."""
    target = fixture.targets()
    ids, masks = (torch.from_numpy(np.stack([
        target[name][b] for b in sorted(target[name])]))
        for name in ('ids', 'masks'))
    labels = torch.from_numpy(np.stack([
        target['labels'][b] for b in sorted(target['labels'])]))
    present = (ids >= 0).transpose(1, 2)
    masks = masks.bool().transpose(1, 2) & present[..., None, None]
    boxes = torch.zeros(*present.shape, 4)
    return ClipTruth(labels.long(), boxes, boxes, masks, present,
                     present.any(2), torch.ones(*ids.shape[:2], 2))
