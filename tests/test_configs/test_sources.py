"""configs/<system>/sources.yml and the configs say the same, both ways."""
import inspect
import re
import runpy
from typing import Any

import pytest
from mmdet.registry import MODELS, TASK_UTILS

from .sources import CONFIGS, READ, matches, problems, read, values_for
from .trees import (
    ABSENT,
    NAMES,
    ROOT,
    SYSTEMS,
    build,
    changes,
    configs_of,
    leaves,
    load,
    plain,
)

COMPLEXITY = ROOT / 'tools/analysis_tools/model_complexity.py'
SOURCES = {system: read(CONFIGS / system) for system in SYSTEMS}


def documented(name: str) -> bool:
    """Whether settings give the values of a config one by one."""
    system, short = name.split('/', 1)
    return matches(short, SOURCES[system]['configs'])


def variants() -> list[str]:
    return [f'{system}/{name}' for system in SYSTEMS
            for name in SOURCES[system]['variants']]


def test_every_config_is_accounted_for_once():
    for name in NAMES:
        system, short = name.split('/', 1)
        sources = SOURCES[system]
        assert [documented(name), short in sources['variants'],
                matches(short, list(sources['own']))].count(True) == 1, name
    assert set(variants()) <= set(NAMES)
    assert len(SYSTEMS) >= 4


@pytest.mark.parametrize('name', [n for n in NAMES if documented(n)])
def test_every_number_has_a_source(name):
    system, short = name.split('/', 1)
    assert problems(short, load(name), SOURCES[system]) == []


@pytest.mark.parametrize('system', SYSTEMS)
def test_nothing_stands_there_for_nobody(system):
    """Every setting, word, pattern and short name is in use."""
    sources = SOURCES[system]
    names = [n.split('/', 1)[1] for n in configs_of(system) if documented(n)]
    for key, setting in sources['settings'].items():
        assert setting.keys() <= {'what', 'value', 'source'}, key
        assert setting['source'] and isinstance(setting['source'], str), key
        value = setting['value']
        for asked in value if isinstance(value, dict) else ():
            only = setting | dict(value={asked: 0})
            assert any(values_for(n, only, sources['words']) for n in names), (
                f'{key}: no config is {asked}')
    used = ' '.join(a for s in sources['settings'].values()
                    if isinstance(s['value'], dict) for a in s['value'])
    assert set(used.split()) == sources['words'].keys()
    texts = '\n'.join(s['source'] for part in ('settings', 'variants')
                      for s in sources[part].values())
    for name in sources['sources']:
        assert re.search(re.escape(name), texts, re.I), name
    for pattern in sources['own']:
        assert any(matches(n.split('/', 1)[1], pattern)
                   for n in configs_of(system)), pattern


def test_exceptions_are_needed():
    """Every pattern that asks for no source fits a key of some config."""
    keys = {k for n in NAMES for k, _ in leaves(load(n))}
    for system in SYSTEMS:
        for pattern, why in SOURCES[system]['no_numbers'].items():
            assert why and any(matches(k, pattern) for k in keys), pattern


def read_keys(name: str) -> dict:
    """A config without its helpers."""
    return {k: v for k, v in load(name).items() if k in READ}


def value_before(name: str, key: str) -> Any:
    """The value of an option: of the config, else the default of the class
    of its part, else what the layers of the built part have, or the default
    of their classes."""
    node: Any = read_keys(name)
    *parents, option = key.split('.')
    for parent in parents:
        node = node[int(parent) if isinstance(node, list) else parent]
    if option in node:
        return plain(node[option])
    cls = MODELS.get(node['type']) or TASK_UTILS.get(node['type'])
    for base in cls.__mro__:
        parameters = inspect.signature(base.__init__).parameters
        if option in parameters:
            return parameters[option].default
    layers = list(build(name).get_submodule('.'.join(parents[1:])).modules())
    value, = {getattr(m, option) for m in layers if hasattr(m, option)} or {
        inspect.signature(type(m)).parameters[option].default for m in layers
        if option in inspect.signature(type(m)).parameters}
    return value


@pytest.mark.parametrize('name', variants())
def test_variants(name):
    """They differ in what is said, in nothing else, and the value before the
    change is the one that is said."""
    system, short = name.split('/', 1)
    said = SOURCES[system]['variants'][short]
    assert said.keys() - {'ap'} == {'of', 'source', 'changes'}
    assert said['source']
    before, asked = f'{system}/{said["of"]}', {}
    for key, change in said['changes'].items():
        if isinstance(change, dict) and 'why' in change:
            assert value_before(before, key) == change['was'], key
            change = change['value']
        asked[key] = change
    assert dict(changes(read_keys(before), read_keys(name))) == asked


@pytest.mark.parametrize('system', SYSTEMS)
def test_parameters(system):
    """As they are counted, by the tool and without it, and as in the paper."""
    count = runpy.run_path(str(COMPLEXITY))['count_parameters']
    rows = SOURCES[system]['parameters']
    for name, row in rows.items():
        model = build(f'{system}/{name}')
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        found = count(model) | {'all': sum(n for n, _ in sizes)}
        assert found['trainable'] == sum(n for n, grad in sizes if grad)
        counted = {k: v for k, v in row.items()
                   if k not in ('paper', 'differs')}
        assert {k: found[k] for k in counted} == counted, name
        for part in {'total', 'trainable'} & row.get('paper', {}).keys():
            assert abs(row[part] - 1e6 * row['paper'][part]) < 0.2e6, name
    listed = {id(build(f'{system}/{name}')) for name in rows}
    for name in configs_of(system):
        if documented(name):
            assert id(build(name)) in listed, name


def test_parameters_of_dvis_daq_as_printed():
    """Every cell of Table 1 of the MemCNP paper, but those that are named;
    it counts both decoders as the neck, and what is trained as the head."""
    rows = [row for row in SOURCES['dvis_daq']['parameters'].values()
            if 'paper' in row]
    assert len(rows) == 7
    for row in rows:
        backbone, head, total = (
            row[k] for k in ('backbone', 'trainable', 'total'))
        ours = dict(backbone=backbone, neck=total - backbone - head,
                    head=head, total=total)
        differs = row.get('differs', {})
        assert {k: round(v / 1e6, 1) for k, v in ours.items()} == {
            **row['paper'], **differs}
        assert all(row['paper'][k] != v for k, v in differs.items())


#: A config that its sources describe, and what goes wrong otherwise.
CONFIG = dict(model=dict(type='A', size=2, thr=0.5), load_from=None,
              train_cfg=dict(max_epochs=12), helper=dict(size=7))
RIGHT = dict(
    words={'R50': '*_r50', 'OVIS': '*_ovis*', 'Swin-L': '*_swin-l*'},
    places={'loop': ['train_cfg', 'other_cfg']},
    no_numbers={'*.type': 'a name'},
    settings={
        'model.size': dict(value={'R50': 2, 'Swin-L': 3}),
        'model.thr': dict(value={'R50 OVIS': 0.5}),
        'load_from': dict(value=None),
        'loop.max_epochs': dict(value=12),
        'model.depth': dict(value={'Swin-L': 4})
    })


def test_right_sources_have_no_problems():
    assert problems('a_ovis_r50', CONFIG, RIGHT) == []


@pytest.mark.parametrize('key, setting, problem', [
    # another value
    ('model.size', dict(value=3), 'model.size is 2, not 3'),
    # equal in Python, another type
    ('load_from', dict(value=False), 'load_from is None, not False'),
    ('model.size', dict(value=2.0), 'model.size is 2, not 2.0'),
    # a number without a source, and one for other configs alone
    ('model.thr', None, 'model.thr = 0.5 has no source'),
    ('model.thr', dict(value={'Swin-L': 0.5}),
     'model.thr = 0.5 has no source'),
    # None is a value too
    ('load_from', None, 'load_from = None has no source'),
    # a key that is not there, in the config or in any of its places
    ('model.width', dict(value=1), 'model.width is no key of the config'),
    ('loop.size', dict(value=1), 'loop.size is no key of the config'),
    # helpers are no keys that count, but may not be documented wrongly
    ('helper.size', dict(value=8), 'helper.size is 7, not 8'),
    # two words that both hold
    ('model.size', dict(value={'R50': 2, 'OVIS': 2}),
     'model.size has 2 values'),
    # once by its name, once by its place
    ('train_cfg.max_epochs', dict(value=12),
     'train_cfg.max_epochs stands twice'),
])
def test_problems_are_found(key, setting, problem):
    settings = RIGHT['settings'] | {key: setting}
    if setting is None:
        del settings[key]
    assert problem in problems(
        'a_ovis_r50', CONFIG, RIGHT | dict(settings=settings))


def test_a_key_stands_once_in_a_file(tmp_path):
    (tmp_path / 'sources.yml').write_text('settings: {a: 1, b: 2, a: 3}\n')
    with pytest.raises(ValueError, match="'a'.* stands twice"):
        read(tmp_path)


def test_changes():
    before = dict(a=dict(type='x', b=(1, 2)), c=3)
    assert not list(changes(before, dict(a=dict(type='x', b=[1, 2]), c=3)))
    assert dict(changes(before, dict(a=dict(type='x', b=[1], d=None)))) == {
        'a.b': [1], 'a.d': None, 'c': ABSENT
    }
    assert dict(changes(before, dict(a=dict(type='y'), c=3))) == {
        'a': dict(type='y')
    }
    # Into lists of as many parts; a part of another type is one change.
    parts = dict(p=[dict(type='x', a=1), dict(type='y', b=2)])
    assert dict(changes(parts, dict(
        p=[dict(type='x', a=3), dict(type='z', b=2)]))) == {
            'p.0.a': 3, 'p.1': dict(type='z', b=2)}
    assert dict(changes(parts, dict(p=parts['p'][:1]))) == {
        'p': parts['p'][:1]}
