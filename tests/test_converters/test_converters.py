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
