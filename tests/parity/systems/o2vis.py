"""O2VIS on given queries: its trackers, their losses, and the memories that
order queries without a network, MinVIS among them."""
from __future__ import annotations

from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmvis_memcnp.models.segmenters.mask2former import FrameQueries
from mmvis_memcnp.models.trackers import Rows, reorder
from mmvis_memcnp.models.truth import ClipTruth
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.official_parts_o2vis import official_existence
from tests.parity.systems.common import (
    CONFIGS,
    Results,
    kept,
    pinned,
    to_numpy,
)
from tests.parity.systems.dvis_tracker import load, masks_of

Named = dict[tuple[str, str], Tensor]
RULE = 'any mask logit > 0 and argmax != no object'
MEMORIES = dict(
    none=dict(type='LatestMemory'),
    similarity=dict(type='SimilarityMemory', length=0),
    momentum=dict(type='MomentumMemory'),
    occupancy=dict(type='OccupancyMemory'))
#: The letter of eq 7 by its name here.
ORDERS = dict(paper='query_first')
#: Names of the losses here and there.
LOSSES = dict(loss_cls='loss_ce', loss_mask='loss_mask', loss_dice='loss_dice')
FIXED = dict(
    train=dict(dropout=0.0, normaliser='(object, frame) pairs',
               sim_divisor='number of frames'))


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if fixture.run[block].get(key, value) != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    parts = dict(trackless=trackless, TE=existing_alone, full=whole,
                 early=whole)
    out: Results = {}
    for item in fixture.run['inputs']:
        part = item['part']
        if part not in parts:
            raise ManifestError(f'inputs has the part {part!r}; supported: '
                                f'{sorted(parts)}')
        if item.get('foreground_rule', RULE) != RULE:
            raise ManifestError(f'inputs.foreground_rule: supported: {RULE!r}')
        given = {k: torch.from_numpy(np.asarray(v))
                 for k, v in fixture.arrays(part).items()}
        out.update({(part, file, f'{part}/{key}'): to_numpy(value)
                    for (file, key), value in parts[part](
                        fixture, part, given).items()})
    return out


# -- the model ----------------------------------------------------------------
class Given(nn.Module):
    """A segmenter whose queries and masks are given.

    Mask features that the tracker reads come first, then one of each query,
    its mask.
    """

    def __init__(self, queries: Tensor, logits: Tensor, masks: Tensor,
                 hidden: Tensor, features: Tensor | None = None) -> None:
        super().__init__()
        frames, count = queries.shape[:2]
        if features is None:
            features = masks.new_zeros(frames, 0, *masks.shape[2:])
        own = torch.eye(count).expand(frames, count, count)
        nothing = own.new_zeros(frames, count, features.shape[1])
        self.found = FrameQueries(
            hidden[None], queries[None], logits[None],
            torch.cat((nothing, own), 2)[None], None,
            torch.cat((features, masks.transpose(0, 1)), 1))

    def forward(self, frames: Tensor) -> FrameQueries:
        """All of them."""
        return self.found


class First(nn.Module):
    """The channels that come first."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, features: Tensor) -> Tensor:
        """Of (..., C, h, w)."""
        return features[..., :self.count, :, :]


def tracker_config(fixture: Fixture, alone: bool) -> dict:
    """The shipped tracker with the fixture's numbers; T_E alone, or whole."""
    arch = fixture.run['arch']
    tracker = Config.fromfile(
        CONFIGS / '_base_/models/o2vis.py').o2vis.tracker.to_dict()
    tracker.update(
        num_classes=arch['num_classes'], embed_dims=arch['d'],
        num_heads=arch['heads'], feedforward_channels=arch['ffn'],
        mask_dims=arch['mask_dim'], match_space=arch['match_space'],
        anchor=dict(type='AdaptiveAnchor', order=ORDERS.get(
            arch['anchor_order'], arch['anchor_order'])),
        num_existing=arch['layers']['T_E'],
        num_aligning=arch['layers']['T_A'])
    if alone:
        tracker.update(num_existing=arch['layers_TE_only'], num_aligning=0)
    return tracker


def build_model(fixture: Fixture, part: str, given: dict[str, Tensor],
                alone: bool = False) -> nn.Module:
    """The model with the fixture's weights, in training mode: it gives all
    layers then, and the same numbers."""
    init_default_scope('mmdet')
    train = fixture.run['train']
    cfg = Config.fromfile(CONFIGS / '_base_/models/o2vis.py').o2vis.to_dict()
    cfg.update(
        segmenter=dict(
            type=Given, queries=given['frame_embeds'],
            hidden=given['frame_embeds_no_norm'],
            logits=given['segmenter_logits'], masks=given['segmenter_masks'],
            features=given['mask_features']),
        tracker=tracker_config(fixture, alone),
        early=dict(cfg['early'], memory=dict(type='OccupancyMemory')),
        similarity_weight=train['loss_weights']['sim'],
        absent_as_no_object=train['absent_as_no_object'],
        matcher=dict(cfg['matcher'], costs=dict(
            cls=dict(type='SoftmaxCost', weight=train['matcher']['cls']),
            mask=dict(type='SampledMaskCost',
                      mask_weight=train['matcher']['mask'],
                      dice_weight=train['matcher']['dice']))),
        loss=dict(type='SampledMaskLoss',
                  cls_weight=train['loss_weights']['ce'],
                  mask_weight=train['loss_weights']['mask'],
                  dice_weight=train['loss_weights']['dice'],
                  no_object_weight=train['no_object_weight']))
    model = MODELS.build(cfg)
    load(model.tracker, fixture.weights(part), 'o2vis')
    model.tracker.mask_proj = First(fixture.run['arch']['mask_dim'])
    return model.train()


# -- without a network --------------------------------------------------------
@torch.no_grad()
def trackless(fixture: Fixture, part: str, given: dict[str, Tensor]) -> Named:
    """Order and mean logits by each memory."""
    named: Named = {}
    for case, options in fixture.run['test']['trackless'].items():
        memory = dict(MEMORIES[options['memory']])
        if 'momentum' in options:
            memory['momentum'] = options['momentum']
        init_default_scope('mmdet')
        model = MODELS.build(dict(
            type='MinVIS', segmenter=dict(
                type=Given, queries=given['embeds'], hidden=given['embeds'],
                logits=given['logits'], masks=given['segmenter_masks']),
            tracker=dict(type='RowTracker', memory=memory, association=dict(
                type='HungarianAssociation', occupied_first=options['ohm']))))
        found = model.segmenter(given['embeds'])
        state, orders, logits = model.tracker.start(), [], []
        for t in range(len(given['embeds'])):
            frame = found.frames(slice(t, t + 1))
            tracked, state = model.track(state, frame)
            orders.append(tracked.order)
            logits.append(reorder(frame.logits[-1], tracked.order))
        named['outputs.npz', f'{case}/indices'] = torch.cat(orders)
        named['outputs.npz', f'{case}/video_logits'] = torch.cat(
            logits).mean(0)
    return named


# -- trackers -----------------------------------------------------------------
def of_rows(tracker: nn.Module, parts: list[Rows],
            features: Tensor) -> tuple[Tensor, Tensor]:
    """Class logits (L, T, N, K + 1), mask logits (L, N, T, h, w)."""
    logits, embeds = (torch.stack([x[:, 0] for x in values], 1)
                      for values in list(zip(*parts, strict=True))[1:])
    return logits, masks_of(tracker, embeds.transpose(0, 1), features)


@torch.no_grad()
def existing_alone(fixture: Fixture, part: str,
                   given: dict[str, Tensor]) -> Named:
    """The tracker that has T_E alone, with occupied rows first."""
    model = build_model(fixture, part, given, alone=True)
    model.set_progress(1, 1)
    frames = follow(model, len(given['frame_embeds']))
    logits, masks = of_rows(
        model.tracker, [f.existing for f, _ in frames],
        model.segmenter.found.mask_features)
    state = frames[-1][1]
    return {('outputs.npz', key): value for key, value in dict(
        indices=torch.cat([f.order for f, _ in frames]),
        pred_logits_E=logits[-1], pred_masks_E_strided=masks[-1],
        memory_final=state.memory.embeds[0],
        occupancy_final=state.occupied[0]).items()}


def follow(model: nn.Module, frames: int) -> list:
    """What the tracker makes of each frame of a clip, and its state."""
    steps: list = []
    with mock.patch.object(model, 'track', kept(model.track, steps)):
        model.follow(model.segmenter.found, 1)
    assert len(steps) == frames
    return steps


@torch.no_grad()
def whole(fixture: Fixture, part: str, given: dict[str, Tensor]) -> Named:
    """The full tracker and its losses."""
    model = build_model(fixture, part, given)
    model.set_progress(
        0 if fixture.run['train']['cases'][part]['early_matching'] else 1, 1)
    tracker, hidden = model.tracker, given['frame_embeds_no_norm']
    features = model.segmenter.found.mask_features
    frames = follow(model, len(hidden))
    logits, masks = of_rows(tracker, [f.rows for f, _ in frames], features)
    before, masks_before = of_rows(
        tracker, [f.existing for f, _ in frames], features)
    # The first frame's, which no loss takes, is of T_E and the queries.
    similar = [F.cosine_similarity(
        frames[0][0].existing.hidden[-1], hidden[:1], -1)]
    named = dict(
        pred_logits=logits[-1], pred_masks=masks[-1],
        pred_logits_E=before[-1], pred_masks_E_strided=masks_before[-1],
        pred_embds=torch.cat([
            tracker.norm(f.rows.hidden[-1]) for f, _ in frames]),
        sim_scores=torch.cat(
            similar + [f.similarity for f, _ in frames[1:]]),
        indices=torch.cat([f.order for f, _ in frames]),
        memory_after=torch.cat([s.memory.embeds for _, s in frames]),
        occupancy_after=torch.cat([s.occupied for _, s in frames]),
        projected_current=tracker.read(tracker.aligning, hidden)[-1])
    for i in range(len(logits) - 1):
        named[f'aux{i}_logits_strided'] = logits[i]
        named[f'aux{i}_logits_E_strided'] = before[i]
    return {**{('outputs.npz', key): value for key, value in named.items()},
            **{('losses.npz', key): value
               for key, value in losses(fixture, model, given).items()}}


def losses(fixture: Fixture, model: nn.Module,
           given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of one training step, and which row each object has."""
    truth, rows = clip_truth(fixture), []

    def grid(count, *_, **__) -> Tensor:
        """The stored points, for every mask."""
        return given['points'].expand(
            len(count) if isinstance(count, Tensor) else count, -1, -1)

    ids = torch.from_numpy(np.asarray(fixture.targets()['ids']))
    with pinned(grid), mock.patch.object(
            model.matcher, 'match_clips',
            kept(model.matcher.match_clips, rows)), mock.patch(
                'mmvis_memcnp.models.vis.o2vis.existence',
                lambda truth: official_existence(ids)):
        values = model.clip_losses(model.segmenter.found, truth)
    named = {'loss_sim': values['loss_similarity']}
    for ours, theirs in LOSSES.items():
        for prefix, suffix, stack in (('', '', 'aligning'),
                                      ('existing_', '_E', 'existing')):
            named[f'{theirs}{suffix}'] = values[prefix + ours]
            for i in range(len(getattr(model.tracker, stack)) - 1):
                named[f'{theirs}{suffix}_{i}'] = values[
                    f'{prefix}d{i}.{ours}']
    best = rows[0][-1, 0]
    # Frame by frame of their first appearance, by row.
    first = truth.present[0].long().argmax(1)
    order = (first * best.max().add(1) + best).argsort()
    named['match_gt'] = order[best[order] >= 0]
    named['match_query'] = best[named['match_gt']]
    return named


def clip_truth(fixture: Fixture) -> ClipTruth:
    """Objects of the clip."""
    target = fixture.targets()
    labels = torch.from_numpy(np.asarray(target['labels'], np.int64))
    masks = torch.from_numpy(np.asarray(target['masks'])) > 0
    present = torch.from_numpy(np.asarray(target['ids'])) != fixture.run[
        'targets']['absent']['id']
    boxes = torch.zeros(1, *present.shape, 4)
    return ClipTruth(
        (labels - fixture.run['targets']['label_base'])[None], boxes, boxes,
        masks[None], present[None], torch.ones(1, len(labels)) > 0,
        torch.ones(1, present.shape[1], 2))
