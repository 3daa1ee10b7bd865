"""The referring tracker of DVIS++, fed with given queries."""
from __future__ import annotations

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmvis_memcnp.converters import KEY_MAPS, check_against
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import Results, to_numpy

FILE = 'outputs.npz'
FIXED = dict(test=dict(noise=False), train=dict(dropout=0.0))


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if fixture.run[block].get(key, value) != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    return {(item['part'], FILE, key): to_numpy(value)
            for item in fixture.run['inputs']
            for key, value in follow(fixture, item['part']).items()}


def tracker_config(fixture: Fixture) -> dict:
    """The tracker with the fixture's numbers."""
    arch = fixture.run['arch']
    return dict(
        type='ReferringTracker',
        num_classes=arch['num_classes'],
        num_layers=arch['layers'],
        embed_dims=arch['d'],
        num_heads=arch['heads'],
        feedforward_channels=arch['ffn'],
        mask_dims=arch['mask_dim'],
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory'))


def load(tracker: nn.Module, weights: dict, system: str) -> nn.Module:
    """Official weights in a tracker, whose names begin with ``tracker.`` in
    a checkpoint."""
    whole = nn.ModuleDict(dict(tracker=tracker))
    state = KEY_MAPS[system].convert({
        f'tracker.{k}': torch.from_numpy(np.asarray(v))
        for k, v in weights.items()})
    check_against(whole, state)
    whole.load_state_dict(state, strict=True)
    return tracker


def masks_of(tracker: nn.Module, embeds: Tensor, features: Tensor) -> Tensor:
    """Mask logits (L, N, T, h, w), of weights (T, L, N, D) and mask features
    (T, D, h, w)."""
    return torch.einsum('tlnd,tdhw->lnthw', embeds,
                        tracker.mask_proj(features))


@torch.no_grad()
def follow(fixture: Fixture, part: str) -> dict[str, Tensor]:
    """The clip frame by frame, and single parts."""
    init_default_scope('mmdet')
    tracker = load(MODELS.build(tracker_config(fixture)),
                   fixture.weights(part), 'dvis_tracker')
    given = {k: torch.from_numpy(np.asarray(v))
             for k, v in fixture.arrays(part).items()}
    normed, raw = given['frame_embeds'], given['frame_embeds_no_norm']
    state, frames = tracker.start(), []
    for t in range(len(raw)):
        frame, state = tracker.step(state, normed[t, None], raw[t, None])
        frames.append(frame)
    logits = torch.stack([f.rows.logits[:, 0] for f in frames])
    masks = masks_of(tracker, torch.stack([
        f.rows.mask_embeds[:, 0] for f in frames]), given['mask_features'])
    named = {
        'out/indices': torch.cat([f.order for f in frames]),
        'out/pred_logits': logits[:, -1],
        'out/pred_masks': masks[-1],
        'out/pred_embds': torch.cat([f.rows.hidden[-1] for f in frames]),
        'out/pred_references': torch.cat([f.reference for f in frames]),
    }
    for i in range(len(masks) - 1):
        named[f'out/aux{i}_logits_strided'] = logits[:, i]
        named[f'out/aux{i}_masks_strided'] = masks[i]
    layer = tracker.layers[0]
    if len(raw) < 4:  # single parts are fed with the first four frames
        return named

    def refer(identity: Tensor) -> Tensor:
        read = layer.cross_attn(normed[1, None], raw[2, None], raw[3, None],
                                identity)
        return layer.norms[0](read)[0]

    named.update({
        'unit/rca0': refer(raw[0, None]),
        'unit/rca0_zero_identity': refer(torch.zeros_like(raw[0, None])),
        'unit/sa0': layer.norms[1](layer.self_attn(raw[0, None]))[0],
        'unit/ffn0': layer.norms[2](layer.ffn(raw[0, None]))[0],
        'unit/ref_proj': tracker.ref_proj(raw[0]),
    })
    return named
