"""Mask2Former on single frames: the network, its matching and its losses."""
import math
import re
from collections.abc import Callable, Iterable
from unittest import mock

import numpy as np
import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmvis_memcnp.converters import (
    KEY_MAPS,
    KeyMap,
    check_against,
    guess_system,
)
from mmvis_memcnp.models.matching import OneToOneMatcher, Queries
from mmvis_memcnp.models.segmenters.mask2former import (
    FrameQueries,
    Mask2FormerSegmenter,
)
from mmvis_memcnp.models.truth import GroundTruth, Matches
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.near_ties import take_stored
from tests.parity.systems.common import CONFIGS, Recorder, Results, to_numpy

CONFIG = '_base_/models/mask2former_{}.py'
#: Names of the losses here and there.
LOSSES = dict(loss_cls='ce', loss_mask='mask', loss_dice='dice')

#: What the model cannot be told: a manifest that says something else is
#: refused rather than answered with other numbers.
FIXED = dict(
    arch=dict(levels=3),
    train=dict(
        dropout=0.0,
        normaliser='valid ground truths of all frames, min 1'))

#: How a manifest says which points are drawn.  The numbers of points that it
#: may repeat behind that are those of ``train.points``.
SEGMENTER = 'mask2former_r50_ctvis'
POINTS = re.compile(
    r'every torch\.rand\(R, P, 2\) is replaced by '
    r'float32\(np\.random\.RandomState\((\d+) \+ P\)'
    r'\.random_sample\(\(P, 2\)\)\), the same for all R rows(; P = .*)?')


def check(fixture: Fixture, fixed: dict[str, dict] = FIXED) -> None:
    """Refuse what the model cannot be told."""
    for block, values in fixed.items():
        for key, value in values.items():
            if fixture.run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    pinned_points(fixture)


def compute(fixture: Fixture) -> Results:
    """Every array of a fixture of single frames."""
    check(fixture)
    out: Results = {}
    for name, value in forward(fixture, 'inference').items():
        out['inference', 'outputs.npz', name] = value
    for name, value in forward(fixture, 'plain').items():
        out['plain', 'plain.npz', name] = value
    for name, value in losses(fixture, 'losses').items():
        out['losses', 'losses.npz', name] = value
    return out


def model_config(fixture: Fixture) -> Config:
    """The shipped config with the fixture's sizes and weights of losses."""
    arch, train = fixture.run['arch'], fixture.run['train']
    cfg = Config.fromfile(
        CONFIGS / CONFIG.format(arch['backbone'])).model
    segmenter = cfg.segmenter
    segmenter.embed_dims = arch.get('embed_dim')
    segmenter.backbone.update(
        style=arch['backbone_style'],
        # None there is none at all, not even the stem.
        frozen_stages=arch['backbone_frozen_stages'] or -1, init_cfg=None)
    common = dict(embed_dims=arch['d'], num_heads=arch['heads'])
    segmenter.pixel_decoder.update(mask_dims=arch['d'])
    segmenter.pixel_decoder.encoder.update(
        num_layers=arch['enc_layers'], **common)
    segmenter.decoder.update(
        num_classes=arch['num_classes'], num_queries=arch['num_queries'],
        num_layers=arch['dec_layers'], mask_dims=arch['d'],
        feedforward_channels=arch['ffn'], **common)
    matcher, points = train['matcher'], train['points']
    cfg.matcher.costs.cls.update(weight=matcher['cls'])
    cfg.matcher.costs.mask.update(
        mask_weight=matcher['mask'], dice_weight=matcher['dice'],
        num_points=points['match'])
    cfg.loss.update(
        **{f'{ours[5:]}_weight': train['loss_weights'][theirs]
           for ours, theirs in LOSSES.items()},
        no_object_weight=train['no_object_weight'],
        num_points=points['train'],
        oversample_ratio=ratio(points['oversampled'], points['train']),
        importance_ratio=ratio(points['uncertain'], points['train']))
    return cfg


def ratio(count: int, total: int) -> float:
    """What ``total`` is multiplied by to get ``count``, rounded down."""
    # 157 * (117 / 157) is a little less than 117.
    return math.nextafter(count / total, math.inf)


def build_segmenter(fixture: Fixture, part: str) -> Mask2FormerSegmenter:
    """The segmenter with the fixture's weights, as any system loads it."""
    init_default_scope('mmdet')
    holder = nn.ModuleDict(dict(
        segmenter=MODELS.build(model_config(fixture).segmenter)))
    official = {k: torch.from_numpy(np.asarray(v))
                for k, v in fixture.weights(part).items()}
    state = KEY_MAPS[guess_system(official) or ''].convert(official)
    check_against(holder, state)
    holder.load_state_dict(state, strict=True)
    return holder['segmenter']


def frame_batch(fixture: Fixture, part: str) -> Tensor:
    """All frames of all clips of a part, one after the other."""
    return torch.from_numpy(np.concatenate(fixture.frames(part)))


@torch.no_grad()
def forward(fixture: Fixture, part: str) -> dict[str, np.ndarray]:
    """Maps and predictions by the names that fixtures give them."""
    segmenter = build_segmenter(fixture, part).train()  # all layers
    recorder = Recorder()
    recorder.watch('backbone', segmenter.backbone)
    recorder.watch('pixels', segmenter.pixel_decoder)
    found = segmenter(frame_batch(fixture, part))
    same_at_inference(segmenter, frame_batch(fixture, part), found)
    named: dict[str, Tensor] = {}
    for i, fmap in enumerate(recorder.take('backbone')[0], 2):
        named[f'backbone_res{i}'] = fmap
    pixels = recorder.take('pixels')[0]
    named['mask_features'] = pixels.mask_features
    for i, memory in enumerate(pixels.memories):
        named[f'ms{i}'] = memory
    layers = len(found.logits)
    for i in range(layers):
        for stem in ([f'aux{i}'] if i < layers - 1 else ['last', 'pred']):
            named[f'{stem}_logits'] = found.logits[i]
            named[f'{stem}_masks'] = found.masks(i)
            named[f'{stem}_queries'] = found.queries[i]
            if found.embeds is not None:
                named[f'{stem}_embeds'] = found.embeds[i]
    return {
        stem + suffix: to_numpy(value) for stem, value in named.items()
        for suffix in ('', '_stats', '_sub', '_ch', '_norm', '_pos_frac')
    }


def same_at_inference(segmenter: Mask2FormerSegmenter, frames: Tensor,
                      expected: FrameQueries) -> None:
    """The last layer alone, as a session asks for it, is the same."""
    found = segmenter.eval()(frames)
    for ours, all_layers in zip(found[:-1], expected[:-1], strict=True):
        if ours is None:
            continue
        # On a GPU a product of fewer rows may be summed in another order.
        scale = float(all_layers[-1:].abs().max())
        torch.testing.assert_close(
            ours, all_layers[-1:], rtol=0,
            atol=1e-5 * scale if ours.is_cuda else 0)


def losses(fixture: Fixture, part: str) -> dict[str, np.ndarray]:
    """Matching and losses of the frames, and gradients of some weights."""
    cfg = model_config(fixture)
    segmenter = build_segmenter(fixture, part).train()
    found = segmenter(frame_batch(fixture, part))
    truth = ground_truth(fixture, part)
    args = found.logits, found.mask_embeds, found.mask_features
    with mock.patch('torch.rand', pinned_points(fixture)):
        pairs = official_matches(
            fixture, TASK_UTILS.build(cfg.matcher),
            Queries(found.logits, mask_embeds=found.mask_embeds,
                    mask_features=found.mask_features), truth)
        values = MODELS.build(cfg.loss)(*args, pairs, truth)
    named = named_losses(values, pairs, truth)
    sum(values.values()).backward()
    official = fixture.weights(part)
    named.update(gradient_norms(
        nn.ModuleDict(dict(segmenter=segmenter)), official,
        KEY_MAPS[guess_system(official) or '']))
    return {name: to_numpy(value) for name, value in named.items()}


def official_matches(fixture: Fixture, matcher: OneToOneMatcher,
                     queries: Queries, truth: GroundTruth) -> Matches:
    """Our matches; see :mod:`tests.parity.near_ties`.

    A fixture without matches may be a step of the network whose matches
    another one beside it has: CTVIS's losses are of ``SEGMENTER``.
    """
    stored = fixture.npz('losses.npz')
    beside = fixture.folder.parent / SEGMENTER / 'losses.npz'
    if 'match_last' not in stored and beside.is_file():
        with np.load(beside) as arrays:
            stored = {k: arrays[k] for k in arrays if k.startswith('match_')}
    return take_stored(matcher.match(queries, truth),
                       matcher.cost(queries, truth), truth, stored)


def named_losses(values: dict[str, Tensor], pairs: Matches,
                 truth: GroundTruth) -> dict[str, Tensor]:
    """Losses and matches by the names of the arrays."""
    layers = len(pairs.gt_index)
    named: dict[str, Tensor] = {}
    for ours, theirs in LOSSES.items():
        named[f'loss_loss_{theirs}'] = values[ours]
        for i in range(layers - 1):
            named[f'loss_loss_{theirs}_{i}'] = values[f'd{i}.{ours}']
    # Objects are numbered among those present there.
    number = truth.valid.cumsum(1) - 1
    rows = torch.stack((pairs.frame, pairs.query,
                        number[pairs.frame, pairs.gt]), 1)
    for i in range(layers):
        name = f'match_aux{i}' if i < layers - 1 else 'match_last'
        named[name] = rows[pairs.layer == i]
    return named


def gradient_norms(model: nn.Module, official: Iterable[str],
                   key_map: KeyMap) -> dict[str, Tensor]:
    """Norms of the gradients of parameters with these official names."""
    ours = dict(model.named_parameters())
    found = {name: ours.get(key_map.rename(name)) for name in official}
    return {f'gradnorm:{name}': p.grad.norm() for name, p in found.items()
            if p is not None and p.grad is not None}


def pinned_points(fixture: Fixture) -> Callable[..., Tensor]:
    """What draws a fixture's points: the same for every row, from their
    number.

    Raises:
        ManifestError: if it pins its random numbers otherwise.
    """
    random = fixture.run['train']['random'] or {}
    named = POINTS.fullmatch(random.get('points', ''))
    if named is None or len(random) > 1:
        raise ManifestError(f'train.random is {random!r}; supported: points, '
                            f'like {POINTS.pattern!r}')
    seed = int(named[1])

    def draw(rows: int, count: int, two: int, device=None) -> Tensor:
        state = np.random.RandomState(seed + count)
        points = torch.from_numpy(
            state.random_sample((count, two)).astype(np.float32))
        return points.repeat(rows, 1, 1)

    return draw


def ground_truth(fixture: Fixture, part: str) -> GroundTruth:
    """Objects of all frames of all clips on the padded input."""
    target = fixture.targets()
    clips = sorted(target['ids'])
    most = max(target['ids'][b].shape[1] for b in clips)
    height, width = fixture.inputs(part)['padded_hw']
    count = sum(len(target['ids'][b]) for b in clips)
    masks = np.zeros((count, most, height, width), bool)
    labels = np.zeros((count, most), np.int64)
    ids = np.full((count, most), -1)
    start = 0
    for b in clips:
        frames, own = target['ids'][b].shape
        rows = slice(start, start + frames)
        start += frames
        ids[rows, :own] = target['ids'][b]
        labels[rows, :own] = np.where(
            target['ids'][b] >= 0,
            target['labels'][b] - fixture.run['targets']['label_base'], 0)
        h, w = target['masks'][b].shape[2:]
        masks[rows, :own, :h, :w] = target['masks'][b]
    return GroundTruth.of(
        torch.zeros(count, most, 4), torch.ones(count, 2),
        torch.from_numpy(labels), torch.from_numpy(ids),
        torch.from_numpy(ids >= 0), torch.from_numpy(masks))
