"""The decoder of IFR, its matching and its losses, on stored features.

The fixture is no official one: no code was released. It is an independent
reading of the paper.
"""
from __future__ import annotations

import re
from unittest import mock

import numpy as np
import torch
from mmengine.registry import init_default_scope
from torch import Tensor

from mmvis_memcnp.models.losses import CrossFrameLoss
from mmvis_memcnp.models.matching import (
    CostSum,
    OneToOneMatcher,
    Queries,
)
from mmvis_memcnp.models.segmenters.mask2former import (
    ClipQueries,
    PixelMaps,
    RecurrentDecoder,
)
from mmvis_memcnp.models.truth import ClipTruth, Matches
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import Recorder, Results, to_numpy

PART, FILE = 'decoder', 'outputs.npz'
FIXED = dict(
    arch=dict(backbone=None),
    test=dict(mode='eval', whole_video=True),
    train=dict(
        mode='forward with fixed assignment', dropout=0.0, aux_layers=[],
        random=dict(points='all pixels instead of sampled points'),
        normaliser='ground truths'))
#: Names of the tensors here, and there.
NAMES = (
    (r'mask_embed\.', 'mask_embed.layers.'),
    (r'decoder_norm\.', 'norm.'), (r'class_embed\.', 'cls_embed.'),
    *((rf'layers\.(\d+)\.{kind}_{theirs}\.', rf'{kind}_layers.\1.{ours}.')
      for kind in ('frame', 'clip') for theirs, ours in (
          (r'cross\.norm', 'norms.0'), (r'self\.norm', 'norms.1'),
          (r'ffn\.norm', 'norms.2'), ('cross', 'cross_attn.attn'),
          ('self', 'self_attn.attn'), (r'ffn\.linear1', 'ffn.layers.0.0'),
          (r'ffn\.linear2', 'ffn.layers.1'))))


def compute(fixture: Fixture) -> Results:
    """Every array of the fixture."""
    for block, values in FIXED.items():
        for key, value in values.items():
            if fixture.run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    named: dict = {}
    with torch.no_grad():
        found = decode(fixture, named)
        learn(fixture, found, named)
    return {(PART, FILE, name): to_numpy(value)
            for name, value in named.items()}


def build(fixture: Fixture) -> RecurrentDecoder:
    """The decoder with the fixture's weights."""
    init_default_scope('mmdet')
    arch = fixture.run['arch']
    decoder = RecurrentDecoder(
        num_classes=arch['num_classes'], num_queries=arch['num_queries'],
        num_layers=arch['layers'], num_levels=arch['memory_levels'],
        embed_dims=arch['d'], num_heads=arch['heads'],
        feedforward_channels=arch['ffn'], mask_dims=arch['d'])
    state = {rename(name): torch.from_numpy(np.asarray(value))
             for name, value in fixture.weights(PART).items()}
    decoder.load_state_dict(state, strict=True)
    return decoder.eval()


def rename(name: str) -> str:
    """Our name of a tensor."""
    for pattern, ours in NAMES:
        name = re.sub(f'^{pattern}', ours, name)
    return name


def decode(fixture: Fixture, named: dict) -> ClipQueries:
    """Queries, classes and masks of all layers."""
    decoder, given = build(fixture), fixture.arrays(PART)
    features = torch.from_numpy(given['mask_features'])
    memories = tuple(torch.from_numpy(given['memories'][i])
                     for i in sorted(given['memories']))
    frames, queries = len(features), fixture.run['arch']['num_queries']
    recorder = Recorder()
    for number in range(decoder.num_layers):
        recorder.watch('frame', decoder.frame_layers[number])
        recorder.watch('clip', decoder.clip_layers[number])
    found = decoder(PixelMaps(memories, features), frames, all_layers=True)
    # Both halves of what the frame layers give were recorded.
    by_frame = torch.stack(recorder.take('frame'))[:, 0, :queries]
    clip_queries = torch.cat(recorder.take('clip'))
    alone = decoder(PixelMaps(memories, features), frames, all_layers=False)
    # To rounding: a GPU sums products of another shape in another order.
    torch.testing.assert_close(alone.logits, found.logits[-1:])
    torch.testing.assert_close(alone.mask_embeds, found.mask_embeds[-1:])
    layers = range(len(found.logits))
    named.update(
        logits=found.logits[:, 0], kernels=found.mask_embeds[:, 0],
        masks=torch.stack([
            found.masks(layer=i)[0].transpose(0, 1) for i in layers]),
        frame_queries=by_frame.unflatten(0, (-1, frames)),
        clip_queries=torch.cat((decoder.query_feat.weight[None],
                                clip_queries)))
    return found


def learn(fixture: Fixture, found: ClipQueries, named: dict) -> None:
    """Costs, pairs and losses of the last layer, on all pixels."""
    train, target = fixture.run['train'], fixture.targets()
    masks = torch.from_numpy(target['masks'].astype(bool))[None]
    labels = torch.from_numpy(target['labels'].astype(np.int64))[None] - \
        fixture.run['targets']['label_base']
    present = masks.flatten(3).any(3)
    boxes = torch.zeros(*present.shape, 4)
    truth = ClipTruth(labels, boxes, boxes, masks, present, present.any(2),
                      torch.ones(1, masks.shape[2], 2))
    height, width = masks.shape[-2:]
    weights = train['matcher']
    costs = dict(
        cls=dict(type='SigmoidCost', weight=weights['cls']),
        mask=dict(type='SampledMaskCost', mask_weight=weights['mask'],
                  dice_weight=weights['dice'], num_points=height * width))

    def every_pixel(rows: int, *_: int, device=None) -> Tensor:
        y, x = ((torch.arange(n) + .5) / n for n in (height, width))
        grid = torch.stack((x.expand(height, -1),
                            y[:, None].expand(-1, width)), -1)
        return grid.view(1, -1, 2).repeat(rows, 1, 1)

    queries = Queries(found.logits, mask_embeds=found.mask_embeds,
                      mask_features=found.mask_features)
    own = train['loss_weights']
    loss = CrossFrameLoss(
        cross_weight=train['lambda_cross'], alpha=train['focal']['alpha'],
        gamma=train['focal']['gamma'], cls_weight=1., mask_weight=1.,
        dice_weight=1., num_points=height * width, oversample_ratio=1.,
        importance_ratio=0.)
    rows = torch.from_numpy(target['assigned_queries'].astype(np.int64))
    matches = Matches.of_objects(
        rows.expand(len(found.logits), 1, -1), found.logits.shape[2])
    with mock.patch('torch.rand', every_pixel):
        named['cost'] = CostSum(costs)(queries, truth)[-1, 0]
        best = OneToOneMatcher(costs).match(queries, truth).best[-1, 0]
        both = loss(*queries[:1], found.mask_embeds, found.mask_features,
                    matches, truth)
        loss.cross_weight = 0.
        alone = loss(*queries[:1], found.mask_embeds, found.mask_features,
                     matches, truth)
    pairs = torch.stack((best, torch.arange(len(best))), 1)
    named['match'] = pairs[best.argsort()]
    named.update({f'loss_{k}': both[f'loss_{k}']
                  for k in ('cls', 'mask', 'dice')})
    named.update({f'loss_{k}_own': alone[f'loss_{k}']
                  for k in ('mask', 'dice')})
    named['loss_total'] = sum(
        own[k] * both[f'loss_{k}'] for k in ('cls', 'mask', 'dice'))
