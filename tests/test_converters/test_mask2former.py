"""Mask2Former of mmdet and of Hugging Face against their own classes.

Both have random weights; what they say of an image must come out of MinVIS
with the converted file.
"""
import re
import sys
from functools import partial

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.registry import init_default_scope

from mmvis_memcnp.compat.checkpoint import (
    CheckpointError,
    load_checkpoint_file,
)
from mmvis_memcnp.converters import (
    KEY_MAPS,
    check_against,
    check_converted,
    guess_system,
)
from mmvis_memcnp.errors import UserError
from tests.fakes.tiny_mask2former import tiny_config
from tests.fakes.tiny_mask2former_vis import tiny_model as tiny_vis
from tests.fakes.tiny_minvis import tiny_minvis_config, tiny_model
from tests.test_tools.test_convert_checkpoint import ROOT, load_tool

CLASSES, QUERIES, DIMS, HEADS = 3, 7, 32, 4
SWIN = dict(depths=(2, 1, 2, 1), num_heads=(1, 1, 2, 2), window_size=3,
            drop_path_rate=0.)
# No side is a multiple of the stride of the coarsest map or of the windows.
IMAGES = torch.randn(2, 3, 90, 150,
                     generator=torch.Generator().manual_seed(1))


def spread(model):
    """Queries that differ, and classes that do."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if re.search(r'quer(y_feat|ies_features)\.weight$', name):
                value.normal_(std=3.)
            elif 'cls_embed.weight' in name or 'class_pred' in name:
                value.normal_(std=.5)
            elif re.search(r'mask_embed(\.4|der\.2\.0)\.weight$', name):
                value.normal_(std=.5)
            elif value.dim() == 1:  # norms and biases start alike
                value.add_(torch.randn_like(value), alpha=.1)
    return model.eval()


def same_outputs(state, images, logits, masks, **backbone):
    """Load converted weights into MinVIS, strictly, and compare."""
    own = tiny_model(segmenter=segmenter(**backbone)) if backbone else \
        tiny_model()
    check_against(own, state)
    own.load_state_dict(state)
    with torch.no_grad():
        found = own.eval()(images[:, None])
    assert logits.std() > .1 and masks.std() > .1
    torch.testing.assert_close(found[0], logits, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found[1], masks, rtol=1e-5, atol=1e-4)


def segmenter(num_groups=8, **backbone):
    """That of the tiny config on another backbone."""
    cfg = tiny_config().segmenter.to_dict()
    cfg['backbone'] = backbone
    cfg['pixel_decoder']['num_groups'] = num_groups
    return cfg


SWIN_MMDET = dict(
    type='SwinTransformer', embed_dims=8, out_indices=(0, 1, 2, 3), **SWIN)
# The groups of its norms are no setting there.
SWIN_HUGGING_FACE = dict(SWIN_MMDET, num_groups=32)
RESNET = dict(type='ResNet', depth=18, base_channels=8,
              norm_cfg=dict(type='BN', requires_grad=False))


def mmdet_head(**extra):
    """Settings of mmdet's heads in the sizes of the tiny config."""
    attention = dict(embed_dims=DIMS, num_heads=HEADS, batch_first=True)
    ffn = dict(embed_dims=DIMS, feedforward_channels=48, num_fcs=2)
    return dict(
        in_channels=[8, 16, 32, 64], strides=[4, 8, 16, 32],
        feat_channels=DIMS, out_channels=16, num_queries=QUERIES,
        num_transformer_feat_level=3,
        pixel_decoder=dict(
            type='MSDeformAttnPixelDecoder', num_outs=3,
            norm_cfg=dict(type='GN', num_groups=8),
            act_cfg=dict(type='ReLU'),
            encoder=dict(num_layers=2, layer_cfg=dict(
                self_attn_cfg=dict(attention, num_levels=3, num_points=4),
                ffn_cfg=ffn)),
            positional_encoding=dict(num_feats=DIMS // 2, normalize=True)),
        positional_encoding=dict(num_feats=DIMS // 2, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True, num_layers=2, layer_cfg=dict(
                self_attn_cfg=attention, cross_attn_cfg=attention,
                ffn_cfg=ffn)),
        loss_cls=dict(type='CrossEntropyLoss',
                      class_weight=[1.] * CLASSES + [.1]), **extra)


@pytest.fixture(scope='module', params=['resnet', 'swin'])
def mmdet_model(request):
    init_default_scope('mmdet')
    torch.manual_seed(3)
    swin = request.param == 'swin'
    model = MODELS.build(ConfigDict(
        type='Mask2Former', backbone=SWIN_MMDET if swin else RESNET,
        panoptic_head=mmdet_head(
            type='Mask2FormerHead', num_things_classes=CLASSES,
            num_stuff_classes=0),
        panoptic_fusion_head=dict(
            type='MaskFormerFusionHead', num_things_classes=CLASSES,
            num_stuff_classes=0),
        test_cfg=dict(panoptic_on=False)))
    return spread(model), SWIN_MMDET if swin else {}


def test_mmdet_says_the_same(mmdet_model):
    model, backbone = mmdet_model
    state = model.state_dict()
    assert guess_system(state) == 'mask2former_mmdet'
    samples = [DetDataSample(metainfo=dict(
        img_shape=IMAGES.shape[2:], batch_input_shape=IMAGES.shape[2:]))
        for _ in IMAGES]
    with torch.no_grad():
        logits, masks = model.panoptic_head(
            model.backbone(IMAGES), samples)
    same_outputs(KEY_MAPS['mask2former_mmdet'].convert(state), IMAGES,
                 logits[-1], masks[-1], **backbone)


def test_names_of_before_mmdet_3(mmdet_model):
    """Attentions were numbered in the order of their use."""
    state = mmdet_model[0].state_dict()
    head = 'panoptic_head.'
    old = {}
    for name, value in state.items():
        if name.startswith(head + 'pixel_decoder.encoder'):
            name = name.replace('self_attn', 'attentions.0')
        elif name.startswith(head + 'transformer_decoder'):
            name = name.replace('cross_attn', 'attentions.0').replace(
                'self_attn', 'attentions.1')
        if '_decoder.' in name and name.startswith(head):
            name = name.replace('.ffn.', '.ffns.0.')
        old[name] = value
    assert len(old.keys() - state.keys()) > 20
    key_map = KEY_MAPS['mask2former_mmdet']
    new, old = key_map.convert(state), key_map.convert(old)
    assert old.keys() == new.keys()
    assert all(old[name] is new[name] for name in new)


def test_mmdets_mask2former_vis_says_the_same():
    """The clip is one of two frames: a query is an object in both."""
    init_default_scope('mmdet')
    torch.manual_seed(3)
    model = spread(MODELS.build(ConfigDict(
        type='Mask2FormerVideo',
        backbone=RESNET,
        track_head=dict(
            mmdet_head(type='Mask2FormerTrackHead', num_classes=CLASSES),
            positional_encoding=dict(
                type='SinePositionalEncoding3D', num_feats=DIMS // 2,
                normalize=True)))))
    state = model.state_dict()
    assert guess_system(state) == 'mask2former_vis_mmdet'
    own = tiny_vis().eval()
    converted = KEY_MAPS['mask2former_vis_mmdet'].convert(state)
    check_against(own, converted)
    own.load_state_dict(converted)
    with torch.no_grad():
        logits, masks = model.track_head(
            model.backbone(IMAGES), TrackDataSample())
        found = own(IMAGES[None])
    torch.testing.assert_close(found[0], logits[-1], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found[1], masks[-1], rtol=1e-5, atol=1e-4)


@pytest.fixture(scope='module')
def hugging_face(tmp_path_factory):
    """A model of transformers, and the file that it writes."""
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(5)
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(
            embed_dim=8, out_features=[f'stage{n}' for n in range(1, 5)],
            **SWIN),
        feature_size=DIMS, hidden_dim=DIMS, mask_feature_size=16,
        encoder_feedforward_dim=48, encoder_layers=2, decoder_layers=3,
        num_attention_heads=HEADS, dim_feedforward=48, num_queries=QUERIES,
        num_labels=CLASSES)
    model = spread(
        transformers.Mask2FormerForUniversalSegmentation(config))
    folder = tmp_path_factory.mktemp('published')
    model.save_pretrained(folder)
    return model, folder / 'model.safetensors'


def test_hugging_face_says_the_same(hugging_face):
    model, file = hugging_face
    state = load_checkpoint_file(file)['state_dict']
    assert guess_system(state) == 'mask2former_huggingface'
    with torch.no_grad():
        out = model(IMAGES)
    same_outputs(
        KEY_MAPS['mask2former_huggingface'].convert(state), IMAGES,
        out.class_queries_logits, out.masks_queries_logits,
        **SWIN_HUGGING_FACE)


@pytest.mark.parametrize('saved', [True, False])
def test_indices_of_the_windows(hugging_face, saved):
    """Files of before transformers 5 hold them; others get those of mmdet."""
    state = load_checkpoint_file(hugging_face[1])['state_dict']
    block = ('model.pixel_level_module.encoder.encoder.layers.0.blocks.0.'
             'attention.self.')
    if saved:
        side = torch.arange(3)
        y, x = torch.meshgrid(side, side, indexing='ij')
        y, x = y.flatten(), x.flatten()
        state[block + 'relative_position_index'] = (
            (y[:, None] - y + 2) * 5 + x[:, None] - x + 2)
    index = KEY_MAPS['mask2former_huggingface'].convert(state)[
        'segmenter.backbone.stages.0.blocks.0.attn.w_msa.'
        'relative_position_index']
    own = MODELS.build(SWIN_MMDET).state_dict()
    assert torch.equal(index, own[
        'stages.0.blocks.0.attn.w_msa.relative_position_index'])


def test_a_part_of_a_joined_tensor_is_missing(hugging_face):
    state = load_checkpoint_file(hugging_face[1])['state_dict']
    name = 'model.transformer_module.decoder.layers.1.self_attn.v_proj.bias'
    del state[name]
    with pytest.raises(ValueError, match=f'no {name!r}; the file is not'):
        KEY_MAPS['mask2former_huggingface'].convert(state)


def convert(source, tmp_path, **swin):
    """Through the tool; where the result is, and its config."""
    config, target = tmp_path / 'config.py', tmp_path / 'out.pth'
    Config(dict(model=tiny_minvis_config(
        segmenter=segmenter(**swin)))).dump(config)
    load_tool('convert_checkpoint').main([
        str(source), str(target), '--config', str(config)])
    return target, config


def test_a_file_of_hugging_face_through_the_tool(
        hugging_face, tmp_path, capsys):
    model, file = hugging_face
    target, _ = convert(file, tmp_path, **SWIN_HUGGING_FACE)
    said = capsys.readouterr().out.splitlines()
    blocks, layers = sum(SWIN['depths']), 2
    total = len(model.state_dict())
    assert said[2:7] == [
        'system: mask2former_huggingface',
        f'tensors joined: {total} became {total - 4 * (blocks + layers)}',
        f'tensors kept: {total - 4 * (blocks + layers) - 3} of '
        f'{total - 4 * (blocks + layers)}, '
        f'{total - 4 * (blocks + layers) - 3} of them under new names',
        'tensors dropped: 1 (class weights of the loss)',
        'tensors dropped: 2 (last norm of Swin, which nothing reads)'
    ]
    assert f'tensors added: {blocks} (indices of the windows)' in said
    with torch.no_grad():
        out = model(IMAGES)
    same_outputs(load_checkpoint_file(target)['state_dict'], IMAGES,
                 out.class_queries_logits, out.masks_queries_logits,
                 **SWIN_HUGGING_FACE)


def test_a_file_that_is_not_converted_names_the_command(hugging_face):
    own = tiny_model().state_dict()
    state = load_checkpoint_file(hugging_face[1])['state_dict']
    with pytest.raises(UserError, match=(
            "names of 'mask2former_huggingface', .*convert_checkpoint.py")):
        check_converted(state, own)


def test_a_damaged_file_of_safetensors(tmp_path):
    pytest.importorskip('safetensors')
    path = tmp_path / 'model.safetensors'
    path.write_bytes(b'\x00' * 7)
    with pytest.raises(CheckpointError, match='is not a readable checkpoint'):
        load_checkpoint_file(path)


def test_without_the_package_of_safetensors(tmp_path, monkeypatch):
    path = tmp_path / 'model.safetensors'
    path.touch()
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(CheckpointError, match='pip install safetensors'):
        load_checkpoint_file(path)


def zoo(name):
    """A model of mmdet's zoo, from the config in its package."""
    init_default_scope('mmdet')
    return MODELS.build(get_config(f'mmdet::{name}.py').model)


@pytest.mark.parametrize('published, config, classes', [
    ('mask2former/mask2former_r50_8xb2-lsj-50e_coco',
     'minvis/minvis_r50_8xb4-6k_youtubevis2019', 80),
    # 80 things and 53 kinds of stuff, 200 queries
    ('mask2former/mask2former_swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-'
     'panoptic', 'minvis/minvis_swin-l_16xb2-6k_youtubevis2019', 133),
    ('mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco',
     'mask2former_vis/mask2former-vis_swin-s_8xb2-6k_youtubevis2019', 80),
    ('mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021',
     'mask2former_vis/mask2former-vis_r50_8xb2-8k_youtubevis2021', 40),
])
def test_published_sizes_fit_the_shipped_configs(
        published, config, classes, monkeypatch):
    """Names and shapes of all tensors."""
    # Swin reads its drop rates from a tensor.
    monkeypatch.setattr(torch, 'linspace', partial(
        torch.linspace, device='cpu'))
    with torch.device('meta'):
        state = zoo(published).state_dict()
        cfg = Config.fromfile(f'{ROOT}/configs/{config}.py').model
        cfg.segmenter.decoder.num_classes = classes
        own = MODELS.build(cfg)
    system = guess_system(state)
    assert system is not None
    check_against(own, KEY_MAPS[system].convert(state))
