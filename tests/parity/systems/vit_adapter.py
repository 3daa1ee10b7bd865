"""ViT-Adapter without injectors: maps, parts, and a training step."""
from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mmvis_memcnp.converters import VIT_ADAPTER, check_against
from mmvis_memcnp.models.backbones import ViTAdapter
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    Recorder,
    Results,
    gradient_norms,
    to_numpy,
)

FILE = 'outputs.npz'

#: What the backbone cannot be told.
FIXED = dict(
    arch=dict(
        backbone='vit', use_extra_extractor=True, add_vit_feature=True,
        freeze_backbone=True, finetune=False,
        variant='extractor only, value projection full width'),
    vit=dict(patch_size=16, qkv_bias=True, block_chunks=0),
    train=dict(
        mode='train, one process, plain batch norm, ViT frozen and in eval',
        dropout=0.0, normaliser='mean',
        loss='sum over the 4 outputs of mean(y**2 * w), w = linspace(0.5, '
        '1.5, channels) along channels'))


def check(fixture: Fixture) -> None:
    """Refuse what the backbone cannot be told."""
    blocks = dict(fixture.run, vit=fixture.run['arch']['vit'])
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if blocks[block].get(key, value) != value:
                raise ManifestError(f'{block}.{key} is {blocks[block][key]!r};'
                                    f' supported: {value!r}')


def stage_depths(arch: dict) -> list[int]:
    """Blocks of each stage; together they are all blocks, in order."""
    ranges = [range(i[0], i[-1] + 1) for i in arch['interaction_indexes']]
    if [b for r in ranges for b in r] != list(range(arch['vit']['depth'])):
        raise ManifestError(
            f'arch.interaction_indexes is {arch["interaction_indexes"]}; '
            'supported: every block once, in order')
    return [len(r) for r in ranges]


def build(fixture: Fixture, part: str) -> tuple[ViTAdapter, dict[str, str]]:
    """The backbone with the fixture's weights, and the official name of each
    of its tensors."""
    arch = fixture.run['arch']
    vit = arch['vit']
    weights = fixture.weights(part)
    side = math.isqrt(weights['vit_module.pos_embed'].shape[1] - 1)
    extra = sum(n.endswith('.query_norm.weight') and '.extra_' in n
                for n in weights)
    model = ViTAdapter(
        embed_dims=vit['embed_dim'],
        stage_depths=stage_depths(arch),
        num_heads=vit['num_heads'],
        mlp_ratio=vit['mlp_ratio'],
        pos_grid=(side, side),
        layer_scale=1e-5 if vit['layer_scale'] else None,
        conv_channels=arch['conv_inplane'],
        deform_heads=arch['deform_num_heads'],
        deform_points=arch['n_points'],
        ffn_ratio=arch['cffn_ratio'],
        extra_extractors=extra,
        norm_eps=vit['layer_norm_eps'])
    state = VIT_ADAPTER.convert({
        name: torch.from_numpy(np.asarray(value))
        for name, value in weights.items()})
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model, {VIT_ADAPTER.rename(name): name for name in weights}


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    check(fixture)
    functions = dict(backbone=outputs, train=train)
    found: Results = {}
    for item in fixture.run['inputs']:
        part = item['part']
        if part not in functions:
            raise ManifestError(f'inputs has the part {part!r}; supported: '
                                f'{sorted(functions)}')
        found.update({
            (part, FILE, name): to_numpy(value) if not isinstance(
                value, dict) else value
            for name, value in functions[part](fixture, part).items()})
    return found


def frames_of(fixture: Fixture, part: str) -> Tensor:
    """The frames of all clips as a batch."""
    return torch.from_numpy(np.concatenate(fixture.frames(part)))


@torch.no_grad()
def outputs(fixture: Fixture, part: str) -> dict:
    """Every part of the network in eval mode."""
    model, _ = build(fixture, part)
    model.eval()
    recorder = Recorder()
    recorder.watch('prior', model.prior)
    for i, block in enumerate(model.vit.blocks):
        recorder.watch(f'vit/block{i}', block)
    for i, layer in enumerate(model.extractors):
        recorder.watch(f'extractor{i}', layer)
    first: list[Tensor] = []
    attention = model.extractors[0].attn
    attention.register_forward_hook(
        lambda _m, _a, options, out: first.append(out - options['identity']),
        with_kwargs=True)
    recorder.watch('ffn', model.extractors[0].ffn)
    frames = frames_of(fixture, part)
    maps = model(frames)
    named: dict = {f'res{i}': x for i, x in enumerate(maps, 2)}
    for i, x in enumerate(recorder.take('prior')[0], 1):
        named[f'spm/c{i}'] = x if i == 1 else x.flatten(2).transpose(1, 2)
    rows, columns = (n // 16 for n in frames.shape[-2:])
    named.update({
        'tokens': model.vit.embed(frames),
        'pos_embed_interpolated': model.vit.positions(rows, columns),
        'interaction0/extractor_attn': first[0],
        'interaction0/extractor_ffn': recorder.take('ffn')[0]})
    last = -1
    for i, depth in enumerate(model.stage_depths):
        last += depth
        tokens = recorder.calls[f'vit/block{last}'][0]
        layer = i if i < 3 else len(model.extractors) - 1
        named.update({
            f'interaction{i}/x': tokens[:, 1:],
            f'interaction{i}/cls': tokens[:, :1],
            f'interaction{i}/c': recorder.take(f'extractor{layer}')[0]})
    for i in range(len(model.vit.blocks)):
        named[f'vit/block{i}'] = recorder.take(f'vit/block{i}')[0]
    return {stem + suffix: value for stem, value in named.items()
            for suffix in ('', '_stats', '_shape', '_strided')}


def train(fixture: Fixture, part: str) -> dict:
    """One step in training mode."""
    model, official = build(fixture, part)
    model.train()
    maps = model(frames_of(fixture, part))
    weight = torch.linspace(0.5, 1.5, maps[0].shape[1])[:, None, None]
    loss = sum((y.square() * weight).mean() for y in maps)
    norms = gradient_norms(model, loss, official)
    wanted = fixture.manifest['train_grad_names']
    named: dict = {
        'train/loss': loss,
        'train/grad_norms': {name: norms[name] for name in wanted}}
    for i, x in enumerate(maps, 2):
        named[f'train/res{i}_stats'] = x
    for i, norm in enumerate(
            (model.norm1, model.norm2, model.norm3, model.norm4), 1):
        named[f'train/norm{i}_running_mean_after'] = norm.running_mean
        named[f'train/norm{i}_running_var_after'] = norm.running_var
    return named
