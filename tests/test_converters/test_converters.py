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
    ) == f'decoder.layers.3.{expected}'


def test_seqformer_drops_what_nothing_reads_and_second_names():
    transformer = 'detr.detr.transformer.'
    assert KEY_MAPS['seqformer'].convert({
        f'{transformer}encoder.layers.0.self_attn.output_proj_box.bias': PART,
        f'{transformer}decoder.bbox_embed.0.layers.1.bias': PART,
        'detr.detr.bbox_embed.0.layers.1.bias': PART,
        'detr.detr.backbone.0.backbone.stem.conv1.norm.running_var': PART,
    }).keys() == {'box_branches.0.hidden.1.bias', 'backbone.bn1.running_var',
                  'backbone.bn1.num_batches_tracked'}


def test_first_rule_wins_and_ignored_tensors_go():
    rules = KeyMap('a.x', ((r'a\.', 'b.'), (r'a\.x', 'c')), ignored=r'z\.')
    assert set(rules.convert({'a.x': PART, 'z.1': PART, 'd': PART})) == {
        'b.x', 'd'}
    with pytest.raises(ValueError, match="map to 'b.x'"):
        rules.convert({'a.x': PART, 'b.x': PART})


@pytest.mark.parametrize('names, system', [
    (['bbox_head.sip_cof.weight'], 'sipmask'),
    (['bbox_head.mem.feat_units.weight', 'x'], 'memcnp_sipmask'),
    (['detr.detr.transformer.decoder.layers.0.time_attention_weights.weight'],
     'seqformer'),
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
