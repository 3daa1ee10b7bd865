"""Key maps of official checkpoints and the strict check."""
import pytest
import torch
from torch import nn

from mmvis_memcnp.converters import (
    KEY_MAPS,
    KeyMap,
    check_against,
    guess_system,
)

PART = torch.zeros(1)


@pytest.mark.parametrize('name, expected', [
    ('bbox_head.mem.feat_units.weight', 'bbox_head.memcnp.bank.items'),
    ('bbox_head.mem.mlp.fc1.bias', 'bbox_head.memcnp.bank.mlp.fc1.bias'),
    ('bbox_head.cls_convs.0.gn.weight', 'bbox_head.cls_convs.0.gn.weight'),
    ('backbone.bbox_head.mem.mlp.x', 'backbone.bbox_head.mem.mlp.x'),
])
def test_names_of_memcnp(name, expected):
    assert KEY_MAPS['memcnp_sipmask'].rename(name) == expected


def test_first_rule_wins_and_ignored_tensors_go():
    rules = KeyMap('a.x', ((r'a\.', 'b.'), (r'a\.x', 'c')), ignored=r'z\.')
    assert set(rules.convert({'a.x': PART, 'z.1': PART, 'd': PART})) == {
        'b.x', 'd'}
    with pytest.raises(ValueError, match="map to 'b.x'"):
        rules.convert({'a.x': PART, 'b.x': PART})


@pytest.mark.parametrize('names, system', [
    (['bbox_head.sip_cof.weight'], 'sipmask'),
    (['bbox_head.mem.feat_units.weight', 'x'], 'memcnp_sipmask'),
    (['bbox_head.fcos_cls.weight'], None), ([], None)])
def test_systems_are_told_apart(names, system):
    assert guess_system(names) == system


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
     'backbone.layer1.0.downsample.1.weight'),
    ('detr.input_proj.3.1.bias', 'neck.extra_convs.0.gn.bias'),
    ('detr.transformer.encoder.layers.4.norm2.weight',
     'encoder.layers.4.norms.1.weight'),
    ('detr.transformer.decoder.layers.5.norm2_mem.bias',
     'decoder.layers.5.memory_norm.bias'),
    ('detr.transformer.decoder.layers.0.cross_attn.value_proj.bias',
     'decoder.layers.0.cross_attn.value_proj.bias'),
    ('detr.bbox_embed.1.layers.2.weight', 'box_branches.1.last.weight'),
    ('detr.temporal_class_embed.2.bias', 'class_prior.weigh.2.bias'),
    ('mask_head.dcn.weight', 'mask_branch.fuse.2.weight'),
])
def test_names_of_instanceformer(name, expected):
    assert KEY_MAPS['instanceformer'].rename(name) == expected


def test_instanceformer_aliases_go_and_counters_come():
    key_map = KEY_MAPS['instanceformer']
    stem = 'detr.backbone.0.body.bn1.'
    official = {stem + 'running_mean': PART, key_map.marker: PART,
                'detr.transformer.decoder.bbox_embed.0.layers.0.bias': PART}
    assert guess_system(official) == 'instanceformer'
    assert set(key_map.convert(official)) == {
        'backbone.bn1.running_mean', 'backbone.bn1.num_batches_tracked',
        'class_prior.weigh.0.weight'}
