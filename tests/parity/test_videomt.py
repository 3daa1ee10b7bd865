"""VidEoMT and EoMT beside the classes of Hugging Face's transformers, where
these are installed, and beside an independent reading."""
import json
import struct

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.converters import KEY_MAPS, check_against, guess_system
from tests.fakes.tiny_videomt import tiny_videomt_config
from tests.fakes.videomt_reading import Reading

SIZES = dict(hidden_size=64, num_hidden_layers=4, num_attention_heads=2,
             num_queries=20, image_size=64, num_blocks=2, num_labels=5)


def ours(system, **segmenter):
    """A model of the same sizes."""
    init_default_scope('mmdet')
    return MODELS.build(tiny_videomt_config(system, segmenter=dict(
        backbone=dict(embed_dims=64, depth=4, num_heads=2, patch_size=16,
                 pos_grid=(4, 4)),
        num_classes=5, num_queries=20, num_blocks=2, **segmenter)))


def theirs(kind, seed=0):
    """A model of transformers with random weights that matter."""
    transformers = pytest.importorskip('transformers', '5.3')
    torch.manual_seed(seed)
    config = getattr(transformers, f'{kind}Config')(**SIZES)
    model = getattr(
        transformers, f'{kind}ForUniversalSegmentation')(config)
    for value in model.parameters():
        scale = .3 if value.dim() == 1 else 1.5 / value[0].numel()**.5
        value.data = torch.randn_like(value) * scale
    return model


def load(model, state):
    """Official tensors through the key map that their names ask for."""
    state = KEY_MAPS[guess_system(state)].convert(state)
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


def close(one, other):
    """To 1e-5 of the largest value."""
    scale = float(other.abs().max())
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * scale)


def follow(model, frames):
    """Class and mask logits of a clip (T, 3, H, W), frame by frame."""
    tokens, before, found = model.segmenter.encode(frames), None, []
    for t in range(len(frames)):
        last = model.follow(tokens.frames(slice(t, t + 1)), before)[-1]
        before = last.hidden[-1]
        found.append((last.logits[0, 0], last.masks()[0]))
    return [torch.stack(x) for x in zip(*found, strict=True)]


@torch.no_grad()
def test_four_frames_of_videomt():
    official = theirs('Videomt').eval()
    model = load(ours('videomt'), official.state_dict()).eval()
    frames = torch.randn(4, 3, 64, 64)
    expected = official(pixel_values_videos=frames[None])
    logits, masks = follow(model, frames)
    close(logits, expected.class_queries_logits)
    close(masks, expected.masks_queries_logits)


@torch.no_grad()
@pytest.mark.parametrize('share', [1., 0.])
def test_frames_of_eomt(share):
    """All queries within their masks, as at the start of a training, and none,
    as at its end."""
    official = theirs('Eomt').train()
    official.attn_mask_probs.fill_(share)
    model = load(ours('eomt_frames'), official.state_dict()).train()
    model.segmenter.mask_shares = [share] * 2
    frames = torch.randn(3, 3, 64, 64)
    expected = official(pixel_values=frames)
    found = model.segmenter.layers(frames)[-1]
    close(found.logits[0], expected.class_queries_logits)
    close(found.masks(), expected.masks_queries_logits)


def random_state():
    """Weights by Hugging Face's names, of which no package is needed."""
    generator = torch.Generator().manual_seed(3)
    back = {v: k for k, v in names().items()}
    state = {}
    for name, value in ours('videomt').state_dict().items():
        scale = .3 if value.dim() == 1 else 1.5 / value[0].numel()**.5
        value = torch.randn(value.shape, generator=generator) * scale
        if '.attn.qkv.' in name:
            for part, rows in zip('qkv', value.chunk(3), strict=True):
                state[back[name].replace('qkv', f'{part}_proj')] = rows
        else:
            state[back[name]] = value[0] if name.endswith(
                'pos_embed') else value
    return state


def names():
    """Names here by those of Hugging Face, q, k and v as one."""
    heads = [f'{head}.{kind}' for head in (
        'layernorm', 'class_predictor', 'query_updater', 'mask_head.fc1',
        'mask_head.fc2', 'mask_head.fc3') for kind in ('weight', 'bias')]
    layers = [f'layers.{i}.{part}' for i in range(4) for part in (
        *(f'{x}.{kind}' for x in (
            'norm1', 'norm2', 'attention.qkv', 'attention.out_proj',
            'mlp.fc1', 'mlp.fc2') for kind in ('weight', 'bias')),
        'layer_scale1.lambda1', 'layer_scale2.lambda1')]
    up = [f'upscale_block.block.{i}.{x}' for i in range(2) for x in (
        'conv1.weight', 'conv1.bias', 'conv2.weight', 'layernorm2d.weight',
        'layernorm2d.bias')]
    first = ['query.weight', *(f'embeddings.{x}' for x in (
        'cls_token', 'register_tokens', 'patch_embeddings.projection.weight',
        'patch_embeddings.projection.bias', 'position_embeddings.weight'))]
    return {name: KEY_MAPS['videomt_huggingface'].rename(name)
            for name in heads + layers + up + first}


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 64), (32, 96), (80, 48)])
@pytest.mark.parametrize('norm_early', [True, False])
def test_any_size_beside_an_independent_reading(size, norm_early):
    """Every layer; positions of other grids are read in between."""
    state = random_state()
    model = load(ours('videomt', norm_early=norm_early), state).train()
    frames = torch.randn(3, 3, *size)
    reading = Reading(state, 2, 2, (4, 4), norm_early).clip(frames)
    layers = model.layers(frames, 1)
    assert len(layers) == len(reading[0]) == 3
    for number, found in enumerate(layers):
        for t in range(3):
            logits, masks = (x.float() for x in reading[t][number])
            close(found.logits[0, t], logits)
            close(found.masks()[t], masks)


# -- the authors' names -------------------------------------------------------
def timm_state(prefix, updater=True):
    """Weights by the names of the authors' files."""
    state = {}
    for name, value in ours('videomt').state_dict().items():
        for new, old in (('segmenter.backbone.', 'encoder.backbone.'),
                         ('segmenter.query.', 'q.'),
                         ('segmenter.cls_embed.', 'class_head.'),
                         ('segmenter.mask_embed.', 'mask_head.'),
                         ('segmenter.', '')):
            if name.startswith(new):
                name = old + name[len(new):]
                break
        if updater or 'query_updater' not in name:
            state[prefix + name] = torch.randn_like(value)
    state[f'{prefix}attn_mask_probs'] = torch.ones(2)
    return state


@pytest.mark.parametrize('system, prefix, extra, model', [
    # The last stage, and the first one, which carries an unused updater.
    ('videomt', 'backbone.', 'criterion.empty_weight', 'videomt'),
    ('videomt_segmenter', 'backbone.', 'criterion.empty_weight',
     'eomt_frames'),
    ('eomt', 'network.', 'network.encoder.pixel_mean', 'eomt_frames')])
def test_files_of_the_authors(system, prefix, extra, model):
    official = timm_state(prefix, model == 'videomt')
    official[extra] = torch.zeros(3)
    assert guess_system(official) == system
    built = load(ours(model), official)
    assert torch.equal(
        built.segmenter.backbone.blocks[3].ls2.gamma,
        official[f'{prefix}encoder.backbone.blocks.3.ls2.gamma'])
    # Strict both ways.
    for wrong in (official | {f'{prefix}new': torch.zeros(1)},
                  {k: v for k, v in official.items() if 'class' not in k}):
        with pytest.raises(ValueError, match='does not fit the model'):
            load(ours(model), wrong)


def test_a_file_of_safetensors(tmp_path):
    """As Hugging Face stores it: an index as json, then the numbers."""
    pytest.importorskip('safetensors')
    state = random_state()
    index, parts, at = {}, [], 0
    for name, value in state.items():
        raw = value.contiguous().numpy().astype('<f4').tobytes()
        index[name] = dict(dtype='F32', shape=list(value.shape),
                           data_offsets=[at, at + len(raw)])
        parts.append(raw)
        at += len(raw)
    head = json.dumps(index).encode()
    path = tmp_path / 'model.safetensors'
    path.write_bytes(struct.pack('<Q', len(head)) + head + b''.join(parts))
    read = load_checkpoint_file(path)['state_dict']
    assert read.keys() == state.keys()
    assert all(np.array_equal(read[k], v) for k, v in state.items())
    load(ours('videomt'), read)


def test_a_part_of_the_attention_that_is_missing_is_named():
    state = random_state()
    del state['layers.1.attention.k_proj.bias']
    with pytest.raises(ValueError, match=r'layers\.1\.attention\.k_proj'):
        load(ours('videomt'), state)
