"""The table of seats in docs/design.md and the configs say the same."""
import re

import pytest
from mmdet.registry import MODELS

from mmvis_memcnp.models.vis import ClipVIS

from .trees import ROOT, config_of, configs_of, leaves

TABLE = re.compile(
    r'^\| system \| segment .+?\n\|[-|]+\n(.+?)\n\n', re.M | re.S)
CLASS = re.compile(r'`([A-Z]\w+)`')
#: Keys of a model that have a seat, and the column of it.
SEATS = {'tracker.type': 'associate', 'tracker.memory.type': 'remember',
         'ranking.type': 'rank'}
COLUMNS = ('segment', 'associate', 'remember', 'rank')


def rows():
    """System to the classes that stand in each column."""
    text = (ROOT / 'docs/design.md').read_text()
    found = {}
    for line in TABLE.search(text)[1].splitlines():
        name, *cells = (c.strip() for c in line.strip('|').split('|'))
        found[name] = {column: set(CLASS.findall(cell)) for column, cell in
                       zip(COLUMNS, cells, strict=False)}
    return found


def folder_of(name):
    return re.sub(r'[ -]', '_', name.lower())


def small(name):
    """Name of the small config of a system."""
    folder = folder_of(name)
    found = [n for n in configs_of(folder) if re.search(
        rf'/{folder.replace("_", "-")}(-memcnp)?_r18_movingshapes$', n)]
    return min(found, key=len)


@pytest.mark.parametrize('name', rows())
def test_who_is_named_is_in_the_config(name):
    """Windows are an option of every clip system."""
    cfg = config_of(small(name)).model
    types = {value for key, value in leaves(cfg.to_dict())
             if key.endswith('type')}
    model = MODELS.get(cfg.type)
    types.add(getattr(model, 'default_ranking', {}).get('type'))
    if issubclass(model, ClipVIS):
        types.add('ClipMatching')
    named = set().union(*rows()[name].values())
    assert named <= types, named - types


@pytest.mark.parametrize('name', rows())
def test_who_has_a_seat_is_named(name):
    """In its column: tracker, memory and ranking of the small config."""
    cfg = config_of(small(name)).model
    flat = dict(leaves(cfg.to_dict()))
    flat.setdefault('ranking.type',
                    MODELS.get(cfg.type).default_ranking['type'])
    for key, column in SEATS.items():
        if key in flat:
            assert flat[key] in rows()[name][column], (key, flat[key])
