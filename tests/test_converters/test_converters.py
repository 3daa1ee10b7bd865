"""Key maps of official checkpoints and the strict check."""
import re
from pathlib import Path

import pytest
import torch
from mmdet.models.backbones import SwinTransformer
from mmdet.models.backbones.swin import swin_converter
from torch import nn

from mmvis_memcnp.converters import (
    KEY_MAPS,
    KeyMap,
    check_against,
    check_converted,
    guess_system,
    swin_rules,
    swin_values,
)
from mmvis_memcnp.converters.swin import merging_order
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.models.trackers import TemporalRefiner
from tests.fakes import (
    tiny_idol,
    tiny_instanceformer,
    tiny_seqformer,
    tiny_sipmask,
)
from tests.fakes.systems import SYSTEMS
from tests.parity.fixture import Fixture

PART = torch.zeros(1)

REFINER_ARRAYS = (Path(__file__).resolve().parents[1] /
                  'data/parity/dvis_refiner_r50')


@pytest.mark.parametrize('name, expected', [
    ('bbox_head.mem.feat_units.weight', 'bbox_head.memcnp.bank.items'),
    ('bbox_head.mem.mlp.fc1.bias', 'bbox_head.memcnp.bank.mlp.fc1.bias'),
    ('bbox_head.cls_convs.0.gn.weight', 'bbox_head.cls_convs.0.gn.weight'),
    ('backbone.bbox_head.mem.mlp.x', 'backbone.bbox_head.mem.mlp.x'),
])
def test_names_of_memcnp(name, expected):
    assert KEY_MAPS['memcnp_sipmask'].rename(name) == expected


@pytest.mark.parametrize('name, expected', [
    # the memory was a part of the box branches
    ('box_branches.memcnp.bank.items', 'memcnp.bank.items'),
    # the read-outs still are
    ('box_branches.0.readout.fc1.bias',
     'segmenter.box_branches.0.readout.fc1.bias'),
    # the MLP of SeqFormer's contrast was a part of a loss
    ('memcnp_loss.embed.layers.0.bias', 'memcnp_training.embed.layers.0.bias'),
    # a host's own parts stay its own
    ('memory.project.weight', 'memory.project.weight'),
    ('memcnp.bank.items', 'memcnp.bank.items'),
])
def test_names_from_before_the_segmenter(name, expected):
    assert KEY_MAPS['without_segmenter'].rename(name) == expected


MEMCNP = dict(type='MemCNP', num_items=3)


@pytest.mark.parametrize('model', [
    pytest.param(lambda: tiny_idol.tiny_model(), id='idol'),
    pytest.param(lambda: tiny_idol.tiny_model(memcnp=MEMCNP), id='memcnp'),
    pytest.param(lambda: tiny_seqformer.tiny_model(memcnp=MEMCNP), id='clips'),
    pytest.param(lambda: tiny_instanceformer.tiny_model(), id='propagated')])
def test_checkpoints_from_before_the_segmenter(model):
    model = model()
    old = {
        re.sub('^memcnp_training', 'memcnp_loss',
               re.sub('^memcnp[.]', 'box_branches.memcnp.',
                      name.removeprefix('segmenter.'))): value
        for name, value in model.state_dict().items()
    }
    assert guess_system(old) == 'without_segmenter'
    state = KEY_MAPS['without_segmenter'].convert(old)
    check_against(model, state)
    assert all(v is state[k] or torch.equal(v, state[k])
               for k, v in model.state_dict().items())


@pytest.mark.parametrize('name, expected', [
    ('cross_attn.output_proj.weight', 'instance_proj.weight'),
    ('cross_attn.output_proj_box.bias', 'box_proj.bias'),
    ('cross_attn.value_proj.bias', 'cross_attn.value_proj.bias'),
    ('time_attention_weights.weight', 'frame_weight.weight'),
    ('self_attn.in_proj_bias', 'instance.self_attn.in_proj_bias'),
    ('self_attn_box.out_proj.bias', 'box.self_attn.out_proj.bias'),
    ('norm2.weight', 'instance.norms.0.weight'),
    ('norm1.weight', 'instance.norms.1.weight'),
    ('norm3_box.weight', 'box.norms.2.weight'),
    ('linear1_box.bias', 'box.ffn.layers.0.0.bias'),
    ('linear2.bias', 'instance.ffn.layers.1.bias'),
])
def test_names_of_seqformers_decoder(name, expected):
    assert KEY_MAPS['seqformer'].rename(
        f'detr.detr.transformer.decoder.layers.3.{name}'
    ) == f'segmenter.decoder.layers.3.{expected}'


def test_seqformer_drops_what_nothing_reads_and_second_names():
    transformer = 'detr.detr.transformer.'
    assert KEY_MAPS['seqformer'].convert({
        f'{transformer}encoder.layers.0.self_attn.output_proj_box.bias': PART,
        f'{transformer}decoder.bbox_embed.0.layers.1.bias': PART,
        'detr.detr.bbox_embed.0.layers.1.bias': PART,
        'detr.detr.backbone.0.backbone.stem.conv1.norm.running_var': PART,
    }).keys() == {'segmenter.box_branches.0.hidden.1.bias',
                  'segmenter.backbone.bn1.running_var',
                  'segmenter.backbone.bn1.num_batches_tracked'}


def test_first_rule_wins_and_ignored_tensors_go():
    rules = KeyMap('a.x', ((r'a\.', 'b.'), (r'a\.x', 'c')),
                   ignored=((r'z\.', 'last'), (r'y', 'others')))
    assert rules.dropped(['a.x', 'z.1', 'z.2', 'y', 'az.']) == dict(
        last=2, others=1)
    assert set(rules.convert({'a.x': PART, 'z.1': PART, 'd': PART})) == {
        'b.x', 'd'}
    with pytest.raises(ValueError, match="map to 'b.x'"):
        rules.convert({'a.x': PART, 'b.x': PART})


@pytest.mark.parametrize('name, expected', [
    ('backbone.0.backbone.stem.conv1.weight', 'backbone.conv1.weight'),
    ('backbone.0.backbone.stem.conv1.norm.bias', 'backbone.bn1.bias'),
    ('backbone.0.backbone.res2.0.shortcut.weight',
     'backbone.layer1.0.downsample.0.weight'),
    ('backbone.0.backbone.res5.2.conv3.norm.running_var',
     'backbone.layer4.2.bn3.running_var'),
    ('input_proj.3.1.weight', 'neck.extra_convs.0.gn.weight'),
    ('input_proj.1.0.bias', 'neck.convs.1.conv.bias'),
    ('transformer.level_embed', 'encoder.level_embed'),
    ('transformer.encoder.layers.3.norm2.bias', 'encoder.layers.3.norms.1.bias'
     ),
    ('transformer.encoder.layers.0.self_attn.value_proj.bias',
     'encoder.layers.0.self_attn.value_proj.bias'),
    ('transformer.decoder.layers.5.norm2.weight',
     'decoder.layers.5.norms.0.weight'),
    ('transformer.decoder.layers.5.self_attn.in_proj_weight',
     'decoder.layers.5.self_attn.attn.in_proj_weight'),
    ('transformer.decoder.layers.1.linear1.bias',
     'decoder.layers.1.ffn.layers.0.0.bias'),
    ('bbox_embed.4.layers.1.bias', 'box_branches.4.hidden.1.bias'),
    ('bbox_embed.4.layers.2.bias', 'box_branches.4.last.bias'),
    ('class_embed.0.weight', 'cls_branches.0.weight'),
])
def test_names_of_deformable_detr(name, expected):
    assert KEY_MAPS['idol'].rename(
        f'detr.detr.{name}') == f'segmenter.{expected}'


def test_names_of_idol():
    key_map = KEY_MAPS['idol']
    assert key_map.rename('detr.mask_head.dcn.bias') == (
        'segmenter.mask_branch.fuse.2.bias')
    assert key_map.rename('detr.controller.layers.2.bias') == (
        'segmenter.mask_controller.layers.2.bias')
    out = key_map.convert({
        'detr.reid_embed_head.layers.0.weight': PART,
        'detr.detr.transformer.decoder.bbox_embed.0.layers.0.bias': PART,
        'detr.detr.backbone.0.backbone.stem.conv1.norm.running_var': PART
    })
    assert set(out) == {
        'segmenter.embed_head.layers.0.weight',
        'segmenter.backbone.bn1.running_var',
        'segmenter.backbone.bn1.num_batches_tracked'
    }


def test_values_are_laid_out_by_official_name():
    double = KeyMap('x', ((r'a\.', 'b.'), ),
                    values=((r'a\.w', lambda v: v * 2), (r'a', torch.neg)))
    state = {'a.w': torch.ones(1), 'a.b': torch.ones(1), 'c': torch.ones(1)}
    found = double.convert(state)
    assert {k: v.item() for k, v in found.items()} == {
        'b.w': 2, 'b.b': -1, 'c': 1}
    assert state['a.w'] == 1


def test_order_of_patch_merging():
    """Two channels p, q of the neighbours 00, 10, 01, 11."""
    there = torch.tensor([0, 100, 10, 110, 1, 101, 11, 111])
    here = torch.tensor([0, 1, 10, 11, 100, 101, 110, 111])
    assert torch.equal(merging_order(there), here)
    weight = torch.stack((there, there + 1000))
    assert torch.equal(merging_order(weight), torch.stack((here, here + 1000)))


@pytest.mark.parametrize('name, expected', [
    ('patch_embed.proj.bias', 'patch_embed.projection.bias'),
    ('patch_embed.norm.bias', 'patch_embed.norm.bias'),
    ('layers.2.blocks.17.attn.qkv.bias',
     'stages.2.blocks.17.attn.w_msa.qkv.bias'),
    ('layers.0.blocks.1.mlp.fc2.bias', 'stages.0.blocks.1.ffn.layers.1.bias'),
    ('layers.0.blocks.1.norm2.bias', 'stages.0.blocks.1.norm2.bias'),
    ('layers.1.downsample.norm.bias', 'stages.1.downsample.norm.bias'),
    ('norm3.weight', 'norm3.weight'),
])
def test_names_of_swin_below_any_prefix(name, expected):
    prefix = r'detr\.backbone\.'
    inside = KeyMap('x', swin_rules(prefix, 'backbone.'),
                    values=swin_values(prefix))
    assert inside.rename('detr.backbone.' + name) == f'backbone.{expected}'
    assert inside.rename(name) == name
    moved = inside.convert({
        'detr.backbone.' + name: torch.arange(8), name: torch.arange(8)})
    assert torch.equal(moved[name], torch.arange(8))
    assert torch.equal(moved[f'backbone.{expected}'],
                       torch.arange(8)) == ('downsample' not in name)


@pytest.fixture(scope='module')
def swin():
    """mmdet's, small, and a state dict of the official class."""
    torch.manual_seed(0)
    model = SwinTransformer(
        embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 1, 1, 1),
        window_size=3, out_indices=(1, 2, 3))
    official = {'norm0.weight': torch.ones(8), 'norm0.bias': torch.zeros(8)}
    for name, value in model.state_dict().items():
        for here, there in (('stages.', 'layers.'), ('attn.w_msa.', 'attn.'),
                            ('ffn.layers.0.0.', 'mlp.fc1.'),
                            ('ffn.layers.1.', 'mlp.fc2.'),
                            ('patch_embed.projection', 'patch_embed.proj')):
            name = name.replace(here, there)
        official[name] = (torch.rand_like(value)
                          if value.is_floating_point() else value)
    return model, official


@pytest.mark.parametrize('system, prefix', [
    ('idol', 'detr.detr.backbone.0.backbone.'),
    ('seqformer', 'detr.detr.backbone.0.backbone.'),
    ('instanceformer', 'detr.backbone.0.body.')])
def test_swin_in_a_query_host(swin, system, prefix):
    """As mmdet's own converter does it; strict."""
    model, official = swin
    found = KEY_MAPS[system].convert({
        prefix + name: value for name, value in official.items()})
    check_against(nn.ModuleDict(dict(segmenter=nn.ModuleDict(
        dict(backbone=model)))), found)
    expected = {f'segmenter.{k}': v for k, v in swin_converter(
        official).items() if '.norm0.' not in k}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[k], expected[k]) for k in found)
    merged = 'stages.0.downsample.reduction.weight'
    assert not torch.equal(found[f'segmenter.backbone.{merged}'],
                           official[merged.replace('stages', 'layers')])


@pytest.mark.parametrize('names, system', [
    (['detr.reid_embed_head.layers.0.weight'], 'idol'),
    (['bbox_head.sip_cof.weight'], 'sipmask'),
    (['bbox_head.mem.feat_units.weight', 'x'], 'memcnp_sipmask'),
    (['detr.detr.transformer.decoder.layers.0.time_attention_weights.weight'],
     'seqformer'),
    (['bbox_head.fcos_cls.weight'], None), ([], None)])
def test_systems_are_told_apart(names, system):
    assert guess_system(names) == system


@pytest.mark.parametrize('name', SYSTEMS)
def test_our_own_names_need_no_conversion(name):
    """Also where one is that of the official code: SipMask's, in its head."""
    own = SYSTEMS[name]().state_dict()
    check_converted(own, own)
    other = dict(own, more=torch.zeros(1))
    check_converted(other, own)


def test_weights_of_the_host_are_not_taken_for_official_ones():
    """SipMask's in the model with MemCNP: to convert them would not help."""
    check_converted(tiny_sipmask.tiny_model('sipmask').state_dict(),
                    tiny_sipmask.tiny_model('memcnp').state_dict())


def test_an_old_checkpoint_is_refused_with_the_command():
    with pytest.raises(UserError, match=(
            "names of 'without_segmenter', .*convert_checkpoint.py CHECKP")):
        check_converted(['reference_points.weight', 'x'], ['x'])


@pytest.mark.parametrize('change, message', [
    (lambda s: s.pop('weight'), r'missing: weight\)'),
    (lambda s: s.update(extra=PART), 'unexpected: extra'),
    (lambda s: s.update(bias=torch.zeros(3)),
     r'other shape: bias \(3,\) instead of \(2,\)'),
    (lambda s: s.update({f'e{i}': PART for i in range(7)}), 'and 2 more'),
])
def test_strict_check(change, message):
    model = nn.Linear(4, 2)
    state = dict(model.state_dict())
    check_against(model, state)
    change(state)
    with pytest.raises(ValueError, match=message):
        check_against(model, state)


@pytest.mark.parametrize('name, expected', [
    ('detr.backbone.0.body.layer1.0.downsample.1.weight',
     'segmenter.backbone.layer1.0.downsample.1.weight'),
    ('detr.input_proj.3.1.bias',
     'segmenter.neck.extra_convs.0.gn.bias'),
    ('detr.transformer.encoder.layers.4.norm2.weight',
     'segmenter.encoder.layers.4.norms.1.weight'),
    ('detr.transformer.decoder.layers.5.norm2_mem.bias',
     'segmenter.decoder.layers.5.memory_norm.bias'),
    ('detr.transformer.decoder.layers.0.cross_attn.value_proj.bias',
     'segmenter.decoder.layers.0.cross_attn.value_proj.bias'),
    ('detr.bbox_embed.1.layers.2.weight',
     'segmenter.box_branches.1.last.weight'),
    ('detr.temporal_class_embed.2.bias', 'class_prior.weigh.2.bias'),
    ('mask_head.dcn.weight', 'segmenter.mask_branch.fuse.2.weight'),
])
def test_names_of_instanceformer(name, expected):
    assert KEY_MAPS['instanceformer'].rename(name) == expected


def test_instanceformer_aliases_go_and_counters_come():
    key_map = KEY_MAPS['instanceformer']
    stem = 'detr.backbone.0.body.bn1.'
    official = {stem + 'running_var': PART, key_map.marker: PART,
                'detr.transformer.decoder.bbox_embed.0.layers.0.bias': PART}
    assert guess_system(official) == 'instanceformer'
    assert set(key_map.convert(official)) == {
        'segmenter.backbone.bn1.running_var',
        'segmenter.backbone.bn1.num_batches_tracked',
        'class_prior.weigh.0.weight'}


@pytest.mark.parametrize('name, expected', [
    ('backbone.stem.conv1.norm.bias', 'backbone.bn1.bias'),
    ('backbone.res4.5.conv2.weight', 'backbone.layer3.5.conv2.weight'),
    ('backbone.res2.0.shortcut.norm.weight',
     'backbone.layer1.0.downsample.1.weight'),
    ('backbone.norm0.weight', 'backbone.norm0.weight'),
    ('backbone.layers.2.blocks.17.attn.qkv.bias',
     'backbone.stages.2.blocks.17.attn.w_msa.qkv.bias'),
    ('sem_seg_head.pixel_decoder.input_proj.2.0.bias',
     'pixel_decoder.input_convs.2.conv.bias'),
    ('sem_seg_head.pixel_decoder.transformer.level_embed',
     'pixel_decoder.encoder.level_embed'),
    ('sem_seg_head.pixel_decoder.transformer.encoder.layers.5.linear2.bias',
     'pixel_decoder.encoder.layers.5.ffn.layers.1.bias'),
    ('sem_seg_head.pixel_decoder.transformer.encoder.layers.0.self_attn.'
     'value_proj.bias', 'pixel_decoder.encoder.layers.0.self_attn.'
     'value_proj.bias'),
    ('sem_seg_head.pixel_decoder.adapter_1.norm.bias',
     'pixel_decoder.lateral_conv.gn.bias'),
    ('sem_seg_head.pixel_decoder.layer_1.weight',
     'pixel_decoder.output_conv.conv.weight'),
    # without the pixel decoder's name: files of before version 2
    ('sem_seg_head.mask_features.bias', 'pixel_decoder.mask_features.bias'),
    ('sem_seg_head.predictor.static_query.weight',
     'decoder.query_feat.weight'),
    ('sem_seg_head.predictor.query_embed.weight',
     'decoder.query_embed.weight'),
    ('sem_seg_head.predictor.transformer_cross_attention_layers.8.'
     'multihead_attn.in_proj_bias',
     'decoder.layers.8.cross_attn.attn.in_proj_bias'),
    ('sem_seg_head.predictor.transformer_self_attention_layers.3.norm.weight',
     'decoder.layers.3.norms.1.weight'),
    ('sem_seg_head.predictor.transformer_ffn_layers.3.linear1.weight',
     'decoder.layers.3.ffn.layers.0.0.weight'),
    ('sem_seg_head.predictor.decoder_norm.bias', 'decoder.norm.bias'),
    ('sem_seg_head.predictor.class_embed.bias', 'decoder.cls_embed.bias'),
    ('sem_seg_head.predictor.mask_embed.layers.2.bias',
     'decoder.mask_embed.layers.2.bias'),
    ('sem_seg_head.predictor.reid_embed.layers.1.bias',
     'embed_head.layers.1.bias'),
])
def test_names_of_mask2former(name, expected):
    assert KEY_MAPS['ctvis'].rename(name) == f'segmenter.{expected}'


MARK = 'sem_seg_head.predictor.{}.weight'


@pytest.mark.parametrize('system, names', [
    ('mask2former', [MARK.format('class_embed')]),
    ('ctvis', [MARK.format('class_embed'), MARK.format('reid_embed.layers.0')])
])
def test_mask2former_and_ctvis_are_told_apart(system, names):
    assert guess_system(names) == system
    official = dict.fromkeys(names, PART) | {
        'criterion.empty_weight': PART,
        'backbone.stem.conv1.norm.running_var': PART}
    assert KEY_MAPS[system].dropped(official) == {
        'class weights of the loss': 1}
    assert set(KEY_MAPS[system].convert(official)) == {
        'segmenter.backbone.bn1.running_var',
        'segmenter.backbone.bn1.num_batches_tracked',
        'segmenter.decoder.cls_embed.weight',
        *(['segmenter.embed_head.layers.0.weight'] if system == 'ctvis'
          else [])}


@pytest.mark.parametrize('name, expected', [
    ('transformer_cross_attention_layers.2.multihead_attn.in_proj_weight',
     'layers.2.cross_attn.attn.in_proj_weight'),
    ('transformer_cross_attention_layers.2.norm.bias',
     'layers.2.norms.0.bias'),
    ('transformer_self_attention_layers.2.norm.bias', 'layers.2.norms.1.bias'),
    ('transformer_ffn_layers.2.linear2.weight',
     'layers.2.ffn.layers.1.weight'),
    ('slot_cross_attention_layers.0.multihead_attn.out_proj.bias',
     'slot_layers.0.cross_attn.out_proj.bias'),
    ('slot_cross_attention_layers.0.slot_attn.norm_inputs.weight',
     'slot_layers.0.slot_key.0.weight'),
    ('slot_cross_attention_layers.0.slot_attn.project_k.weight',
     'slot_layers.0.slot_key.1.weight'),
    ('slot_cross_attention_layers.0.slot_attn.project_q.1.weight',
     'slot_layers.0.slot_query.1.weight'),
    ('slot_ffn_layers.0.norm.weight', 'slot_layers.0.norms.1.weight'),
    ('pos_embed.layers.1.bias', 'anchor_embed.layers.1.bias'),
    ('new_ins_embeds.weight', 'new_instance.weight'),
    ('bg_slots.weight', 'background.weight'),
])
def test_names_of_dvis_daq(name, expected):
    assert KEY_MAPS['dvis_daq'].rename(f'tracker.{name}') == (
        f'tracker.{expected}')


def test_dvis_daq_is_no_ctvis():
    names = [MARK.format('class_embed'), MARK.format('reid_embed.layers.0'),
             'tracker.new_ins_embeds.weight']
    assert guess_system(names) == 'dvis_daq'
    assert KEY_MAPS['dvis_daq'].dropped(['daq_criterion.empty_weight']) == {
        'class weights of the loss': 1}


@pytest.mark.parametrize('system, name, expected', [
    ('dvis_tracker', 'transformer_ffn_layers.2.linear1.bias',
     'layers.2.ffn.layers.0.0.bias'),
    ('dvis_tracker', 'mask_feature_proj.weight', 'mask_proj.weight'),
    # T_E, T_A, and the name of the projection where T_E is alone.
    ('o2vis', 'transformer_cross_attention_layers_E.1.multihead_attn.'
     'in_proj_weight', 'existing.1.cross_attn.attn.in_proj_weight'),
    ('o2vis', 'transformer_self_attention_layers_A.0.norm.bias',
     'aligning.0.norms.1.bias'),
    ('o2vis', 'ref_proj_E.layers.2.bias', 'ref_proj.layers.2.bias'),
    ('o2vis', 'ref_proj.layers.2.bias', 'ref_proj.layers.2.bias'),
])
def test_names_of_referring_trackers(system, name, expected):
    assert KEY_MAPS[system].rename(f'tracker.{name}') == f'tracker.{expected}'


@pytest.mark.parametrize('system, marks', [
    ('dvis_tracker', ['mask_feature_proj.weight']),
    ('o2vis', ['transformer_cross_attention_layers_E.0.norm.weight']),
    ('dvis_daq', ['mask_feature_proj.weight', 'new_ins_embeds.weight']),
])
def test_which_tracker_it_is(system, marks):
    """By what only its tracker has; all have the segmenter of CTVIS."""
    names = [MARK.format('class_embed'), MARK.format('reid_embed.layers.0'),
             *(f'tracker.{mark}' for mark in marks)]
    assert guess_system(names) == system


@pytest.mark.parametrize('width', [256, 512])
def test_trackers_that_read_more_than_queries(width):
    """DVIS_Plus with REID_BRANCH: queries and embeddings side by side."""
    official = {MARK.format('decoder_norm'): torch.ones(256),
                'tracker.decoder_norm.weight': torch.ones(width)}
    convert = KEY_MAPS['dvis_tracker'].convert
    if width == 256:
        assert sorted(convert(official)) == [
            'segmenter.decoder.norm.weight', 'tracker.norm.weight']
        return
    with pytest.raises(ValueError, match='reads 512 .* 256: .*REID_BRANCH'):
        convert(official)


@pytest.mark.parametrize('part', ['daq', 'dvispp'])
def test_all_names_of_the_refiner(part):
    """Of one in a checkpoint of DVIS-DAQ offline."""
    names = Fixture(REFINER_ARRAYS).weights(part)
    with torch.device('meta'):
        own = TemporalRefiner(40, local_conv=part == 'dvispp').state_dict()
    found = {KEY_MAPS['dvis_daq'].rename(f'refiner.{n}') for n in names}
    assert found == {f'refiner.{n}' for n in own}


def test_swin_in_mask2former(swin):
    model, official = swin
    found = KEY_MAPS['mask2former'].convert({
        f'backbone.{k}': v for k, v in official.items()})
    expected = swin_converter(official)
    assert found.keys() == {f'segmenter.{k}' for k in expected}
    assert all(torch.equal(found[f'segmenter.{k}'], v)
               for k, v in expected.items())
