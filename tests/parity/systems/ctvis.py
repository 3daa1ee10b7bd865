"""The tracker of CTVIS alone, on stored outputs of a network."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from mmvis_memcnp.models.layers import mask_nms
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture

PART, FILE = 'tracker', 'tracker.npz'
FIXED = dict(match='bi-softmax, greedy', memory='similarity_guided')


@torch.no_grad()
def compute(fixture: Fixture) -> dict[tuple[str, str, str], Any]:
    """The arrays of the tracker."""
    test = fixture.run['test']
    for key, value in FIXED.items():
        if test[key] != value:
            raise ManifestError(f'test.{key} is {test[key]!r}; supported: '
                                f'{value!r}')
    tracker = MODELS.build(dict(
        type='GreedyTracker',
        association=dict(type='BiSoftmaxAssociation'),
        memory=dict(type='SimilarityMemory', length=test['memory_len']),
        match_thr=test['match_score_thr'],
        init_score_thr=test['init_score_thr'],
        new_score_thr=test['init_score_thr'],
        frame_weight=test['frame_weight'],
        max_gap=test['dead_after_frames'] + 1))
    given = {k: torch.from_numpy(np.asarray(v))
             for k, v in fixture.arrays(PART).items()}
    state, out = tracker.start(), {}
    for t, (logits, embeds, masks) in enumerate(zip(
            given['pred_logits'], given['pred_embeds'], given['pred_masks'],
            strict=True)):
        scores = logits.softmax(-1)[:, :-1].amax(-1)
        order = scores.argsort(descending=True, stable=True)
        good = scores[order] > test['inference_select_thr']
        kept = order[good] if good.any() else order[:1]
        kept = kept[mask_nms(masks[kept] > 0, test['mask_nms_iou'])]
        result, state = tracker.step(
            state, InstanceData(scores=scores[kept], embeds=embeds[kept]))
        found = result.ids >= 0
        named = dict(
            kept_queries=kept, out_queries=kept[found], ids=result.ids[found],
            bank_ids_after=state.ids, bank_exist_after=state.hits,
            bank_embeds_after=tracker.memory.read(state.memory)[0])
        out.update({(PART, FILE, f'f{t}_{name}'): value.numpy()
                    for name, value in named.items()})
    return out
