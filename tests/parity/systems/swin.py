"""Swin of the detectron2 code bases: mmdet's, with converted weights."""
from typing import Any

import numpy as np
import torch
from mmdet.models.backbones import SwinTransformer

from mmvis_memcnp.converters import SWIN, check_against
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture

Results = dict[tuple[str, str, str], np.ndarray]

PART, FILE = 'backbone', 'outputs.npz'


def build(fixture: Fixture) -> SwinTransformer:
    """mmdet's backbone with the fixture's weights, in eval mode."""
    arch = fixture.run['arch']
    if arch['backbone'] != 'swin' or arch['ape']:
        raise ManifestError('supported: backbone swin without ape, got '
                            f'{arch["backbone"]!r}, ape {arch["ape"]}')
    model = SwinTransformer(
        embed_dims=arch['embed_dim'],
        depths=arch['depths'],
        num_heads=arch['num_heads'],
        window_size=arch['window_size'],
        mlp_ratio=int(arch['mlp_ratio']),  # mmdet takes an int alone
        qkv_bias=arch['qkv_bias'],
        drop_path_rate=arch['drop_path_rate'],
        patch_norm=arch['patch_norm'])
    state = SWIN.convert({
        name: torch.from_numpy(np.asarray(value))
        for name, value in fixture.weights(PART).items()
    })
    # Index buffers follow from the window; the fixture compares one instead.
    state.update({
        name: value for name, value in model.state_dict().items()
        if name.endswith('relative_position_index')
    })
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    model.eval()  # returns None
    return model


@torch.no_grad()
def compute(fixture: Fixture) -> Results:
    """Every array of the fixture."""
    model = build(fixture)
    seen: dict[str, Any] = {}

    def watch(name: str, module: torch.nn.Module) -> None:
        module.register_forward_hook(
            lambda _m, _i, out: seen.__setitem__(name, out))

    watch('patch_embed', model.patch_embed)
    for s, stage in enumerate(model.stages):
        for b, block in enumerate(stage.blocks):
            watch(f'stage{s}_block{b}', block)
        if stage.downsample is not None:
            watch(f'stage{s}_merge', stage.downsample)
    (frames, ) = fixture.frames(PART)
    for level, out in enumerate(model(torch.from_numpy(frames))):
        seen[f'res{level + 2}'] = out
    tokens, shape = seen.pop('patch_embed')
    seen['patch_embed'] = tokens.transpose(1, 2).unflatten(2, shape)

    found: Results = {}
    for name, out in seen.items():
        value = (out[0] if isinstance(out, tuple) else out).numpy()
        for kind in ('stats', 'shape', 'strided'):
            found[PART, FILE, f'{name}_{kind}'] = value
    found[PART, FILE, 'relative_position_index_rows'] = model.stages[
        0].blocks[0].attn.w_msa.relative_position_index.numpy()
    return found
