"""docs/design.md names the class in each seat of each system."""
import re
from functools import cache

import pytest
from mmdet.registry import MODELS

from mmvis_memcnp.models.vis import ClipVIS

from .trees import NAMES, ROOT, config_of

ROW = re.compile(
    r'^\| \[[^]]+\]\(\.\./configs/(\w+)/README\.md\), `(\w+)` \|(.+)\|$', re.M)
SEATS = ('segment', 'associate', 'remember', 'rank')


@cache
def rows() -> dict[tuple[str, str], list[str]]:
    """By folder and class of a system: the cells of its row."""
    text = (ROOT / 'docs/design.md').read_text()
    return {(folder, system): [c.strip() for c in cells.split('|')]
            for folder, system, cells in ROW.findall(text)}


def names(cell: str) -> set[str]:
    """Classes that a cell names."""
    return set(re.findall(r'`(\w+)`', cell))


def types(node: dict | None, *keys: str) -> set[str]:
    """Types of parts of a config that are there."""
    return {node[key]['type'] for key in keys if node and node.get(key)}


def seats(model: dict) -> list[set[str]]:
    """The classes that a config puts into each seat; windows are an option
    of every clip system."""
    segmenter, tracker = model.get('segmenter'), model.get('tracker')
    ranking = model.get('ranking') or MODELS.get(
        model['type']).default_ranking
    return [types(model, 'segmenter', 'bbox_head') | types(
                segmenter, 'decoder'),
            types(model, 'tracker', 'refiner', 'window') | types(
                tracker, 'association', 'anchor') | (
                    {'ClipMatching'} if issubclass(
                        MODELS.get(model['type']), ClipVIS) else set()),
            types(model, 'memory') | types(tracker, 'memory'),
            {ranking['type']}]


@cache
def shipped(folder: str) -> list[dict]:
    """Models of a folder, without ablations and those for the checkpoints of
    others."""
    return [config_of(n).model for n in NAMES
            if n.startswith(f'{folder}/')
            and not re.search('ablations|official', n)]


@pytest.mark.parametrize('folder, system', rows())
def test_seats_are_filled_as_it_says(folder, system):
    models = [m for m in shipped(folder) if m.type == system]
    assert models
    found = [set().union(*each) for each in zip(
        *map(seats, models), strict=True)]
    said = [names(cell) for cell in rows()[folder, system]]
    assert dict(zip(SEATS, found, strict=True)) == dict(
        zip(SEATS, said, strict=False))
    memcnp = any(m.get('memcnp') or m.get('bbox_head', {}).get('memcnp')
                 for m in models)
    assert (rows()[folder, system][-1] != '-') == memcnp


def test_every_system_has_a_row():
    """Of the configs; a folder may also train the segmenter of its system."""
    folders = {n.split('/')[0] for n in NAMES}
    assert {folder for folder, _ in rows()} == folders
    known = {system for _, system in rows()}
    assert {m.type for folder in folders for m in shipped(folder)} <= known
