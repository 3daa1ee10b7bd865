"""Queries ordered without a network: MinVIS, and the memories of O2VIS."""
from __future__ import annotations

import numpy as np
import torch
from mmdet.registry import MODELS
from torch import Tensor

from mmvis_memcnp.models.trackers import reorder
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture

PART, FILE = 'trackless', 'outputs.npz'
RULE = 'any mask logit > 0 and argmax != no object'
MEMORIES = dict(
    none=dict(type='LatestMemory'),
    similarity=dict(type='SimilarityMemory', length=0),
    momentum=dict(type='MomentumMemory'),
    occupancy=dict(type='OccupancyMemory'))


def compute(fixture: Fixture) -> dict[tuple[str, str, str], np.ndarray]:
    """The trackless arrays of an O2VIS fixture."""
    if fixture.inputs(PART)['foreground_rule'] != RULE:
        raise ManifestError(f'inputs.foreground_rule: supported: {RULE!r}')
    given = {k: torch.from_numpy(np.asarray(v))
             for k, v in fixture.arrays(PART).items()}
    out = {}
    for case, options in fixture.run['test']['trackless'].items():
        order, logits = follow(given, options)
        out[PART, FILE, f'{case}/indices'] = order.numpy()
        out[PART, FILE, f'{case}/video_logits'] = logits.numpy()
    return {(part, file, f'trackless/{key}'): value
            for (part, file, key), value in out.items()}


def follow(given: dict[str, Tensor], options: dict) -> tuple[Tensor, Tensor]:
    """Order of the queries of each frame (T, N), mean logits (N, K + 1)."""
    memory = dict(MEMORIES[options['memory']])
    if 'momentum' in options:
        memory['momentum'] = options['momentum']
    tracker = MODELS.build(dict(
        type='RowTracker', memory=memory, association=dict(
            type='HungarianAssociation', occupied_first=options['ohm'])))
    state, orders, logits = tracker.start(), [], []
    for t, scores in enumerate(given['logits'][:, None]):
        probs = scores.softmax(-1)
        shown = (given['segmenter_masks'][None, :, t] > 0).flatten(2).any(2)
        present = shown & (scores.argmax(-1) != scores.shape[-1] - 1)
        order, state = tracker.step(
            state, given['embeds'][t, None], weight=1 - probs[..., -1],
            present=present)
        orders.append(order[0])
        logits.append(reorder(scores, order)[0])
    return torch.stack(orders), torch.stack(logits).mean(0)
