"""Configs of InstanceFormer: complete, documented, buildable."""
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmvis_memcnp.datasets.classes import (
    OVIS,
    YOUTUBE_VIS_2019,
    YOUTUBE_VIS_2021,
    dataset_classes,
)

from .trees import (
    ABSENT,
    build,
    changes,
    config_of,
    literal,
    plain,
    tables,
    value_of,
)
from .trees import load as tree

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/instanceformer'
NAMES = sorted(
    str(p.relative_to(FOLDER).with_suffix('')) for p in FOLDER.rglob('*.py'))
PAPER = {
    f'instanceformer_r50_4xb4-16e_{data}': column
    for data, column in (('youtubevis2019', 'YouTube-VIS'),
                         ('youtubevis2021', 'YouTube-VIS'),
                         ('youtubevis2022', 'YouTube-VIS'), ('ovis', 'OVIS'))
}
BINDING = re.compile(
    r'(model|optim_wrapper|param_scheduler|train_cfg|auto_scale_lr|load_from|'
    r'randomness|train_dataloader\.(batch_size|dataset\.datasets\.\d\.'
    r'(clip_sampler|pipeline|num_frames))|test_dataloader\.dataset\.'
    r'pipeline)\b')
NOT_A_NUMBER = re.compile(
    r'(type|by_epoch|\.begin|keep_ratio|pad_mask|num_stages|out_indices)$')
#: The pseudo clips are scaled as the clips are.
SAME = (r'datasets.0.pipeline.0.transforms.3', 'datasets.1.pipeline.0.'
        'transforms.4')


def load(name: str) -> dict:
    return tree(name, FOLDER)


def has_dict(node: Any) -> bool:
    return isinstance(node, dict) or (isinstance(node, (list, tuple))
                                      and any(map(has_dict, node)))


def leaves(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that holds no dict."""
    if not has_dict(node):
        yield path, plain(node)
        return
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in children:
        yield from leaves(value, f'{path}.{key}' if path else str(key))


def linked(cell: str) -> str:
    match = re.search(r'\]\((.+)\.py\)', cell)
    assert match, cell
    return match.group(1)


@pytest.mark.parametrize('name', PAPER)
def test_every_number_has_its_row(name):
    config = {k: v for k, v in leaves(load(name))}
    said = {}
    for head, *rows in tables('setting', FOLDER):
        for row in rows:
            assert len(row) == len(head) and row[-1], row
            for column, cell in zip(head[2:-1], row[2:-1], strict=True):
                if column in ('all', PAPER[name]):
                    said[row[1].strip('`')] = literal(cell)
    assert {key: config.get(key, ABSENT) for key in said} == said
    binding = {key for key in config
               if BINDING.match(key) and not NOT_A_NUMBER.search(key)}
    binding -= {key for key in binding if SAME[0] in key
                and config[key] == config[key.replace(*SAME)]}
    assert len(binding) > 80
    assert binding - said.keys() == set()


def test_rows_of_the_paper():
    (_, *rows), = tables('row', FOLDER)
    seen = set()
    for row in rows:
        name = linked(row[1])
        seen.add(name)
        full = load('instanceformer_r50_4xb4-16e_' + (
            'youtubevis2022' if 'Table 3' in row[0] else 'ovis'))
        said = {f'model.{k}': value_of(v) for k, v in (
            text.split('=', 1) for text in re.findall('`(.+?)`', row[2]))}
        assert dict(changes(full, load(name))) == said, name
    assert len(rows) == 13
    assert seen >= {n for n in NAMES if n.startswith('ablations/')}


#: Official config to the paper's config of the same data set.
OFFICIAL = {
    'instanceformer_r50_official': 'instanceformer_r50_4xb4-16e_youtubevis2019'
} | {f'instanceformer_r50_official_{data}':
     f'instanceformer_r50_4xb4-16e_{data}'
     for data in ('youtubevis2021', 'youtubevis2022', 'ovis')}


def load_official(name: str) -> dict:
    """Without the variable that holds the options."""
    official = load(name)
    del official['instanceformer_official']
    return official


def test_official_configs_are_known():
    assert {n for n in NAMES if 'official' in n} - OFFICIAL.keys() == {
        'instanceformer_r50_no-memory_official'}


@pytest.mark.parametrize('name, classes, channels', [
    ('instanceformer_r50_official', YOUTUBE_VIS_2019, 42),
    ('instanceformer_r50_official_youtubevis2021', YOUTUBE_VIS_2021, 42),
    ('instanceformer_r50_official_youtubevis2022', YOUTUBE_VIS_2021, 42),
    ('instanceformer_r50_official_ovis', OVIS, 27)])
def test_official_classes(name, classes, channels):
    assert dataset_classes(load(name)['test_dataloader']['dataset']) == classes
    model = build(name, FOLDER)
    assert {len(b.bias) for b in model.cls_branches} == {channels}


@pytest.mark.parametrize('name', OFFICIAL)
def test_official_options(name):
    paper, official = load(OFFICIAL[name]), load_official(name)
    (_, *rows), = tables('option (`model.`)', FOLDER)
    found = dict(changes(paper, official))
    assert found == {'model.' + row[0].strip('`'): literal(row[2])
                     for row in rows}
    model = build('instanceformer_r50_4xb4-16e_youtubevis2019', FOLDER)
    for row in rows:
        node: Any = paper['model']
        for key in row[0].strip('`').split('.'):
            node = node.get(key, ABSENT)
        if node == ABSENT:  # the default of the class
            node = model
            for key in row[0].strip('`').split('.'):
                node = getattr(node, key, None)
                node = node.layers[0] if key == 'decoder' else node
        assert node == literal(row[1]), row[0]


def test_official_without_memory():
    official, without = map(load_official, (
        'instanceformer_r50_official',
        'instanceformer_r50_no-memory_official'))
    assert dict(changes(official, without)) == {
        'model.memory': None, 'model.contrast': None}


def test_parameters():
    (_, *rows), = tables('config', FOLDER)
    for row in rows:
        model = build(linked(row[0]), FOLDER)
        assert [int(x) for x in row[1:]] == [
            sum(p.numel() for p in model.parameters()),
            sum(p.numel() for p in model.parameters() if p.requires_grad)]
    assert {linked(row[0]) for row in rows} >= PAPER.keys()


@pytest.mark.parametrize('name', NAMES)
def test_complete(name):
    cfg = config_of(name, FOLDER)
    assert cfg.custom_imports.imports == ['mmvis_memcnp']
    assert cfg.train_dataloader.sampler.type == 'ResumableSampler'
    assert cfg.default_hooks.checkpoint.type == 'AtomicCheckpointHook'
    if 'coco' not in name:
        assert cfg.val_cfg.type == 'VideoValLoop'
        assert cfg.test_dataloader.sampler.type == 'VideoFrameSampler'


def test_metafile_names_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert 'configs/instanceformer/metafile.yml' in index['Import']
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text())
    models = {m['Name']: m for m in meta['Models']}
    assert models.keys() == {n.split('/')[-1] for n in NAMES
                             if not re.search('official|movingshapes', n)}
    for name, model in models.items():
        path = ROOT / model['Config']
        cfg = config_of(
            str(path.relative_to(FOLDER).with_suffix('')), FOLDER)
        assert path.stem == name
        assert model['In Collection'] == meta['Collections'][0]['Name']
        assert model['Metadata']['Epochs'] == cfg.train_cfg.max_epochs
        dataset = cfg.train_dataloader.dataset
        if 'datasets' in dataset:
            assert model['Metadata']['Training Data'] == [
                d.type for d in dataset.datasets]
