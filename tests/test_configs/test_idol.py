"""IDOL's configs: complete, as the README says, and they run."""
import re
import runpy

import numpy as np
import pytest
import torch
import yaml
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from mmvis_memcnp.datasets.classes import (
    OVIS,
    YOUTUBE_VIS_2019,
    YOUTUBE_VIS_2021,
    dataset_classes,
)
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from tests.fakes.tiny_idol import tiny_model

from .test_readme import BINDING, NOT_A_NUMBER
from .trees import (
    ABSENT,
    FOLDER,
    build,
    changes,
    config_of,
    leaves,
    literal,
    load,
    tables,
)

IDOL = FOLDER.parent / 'idol'
ROOT = FOLDER.parents[1]
COMPLEXITY = ROOT / 'tools/analysis_tools/model_complexity.py'
NAMES = sorted(p.stem for p in IDOL.glob('*.py'))
NETS = dict(r50={'R50', 'ResNet'}, r101={'R101', 'ResNet'},
            **{'swin-l': {'Swin-L'}})
STAGES = {
    '8xb4-50e_coco': {'COCO', 'images'},
    '8xb4-59k_coco-pairs': {'COCO', 'pairs'},
    '8xb4-12k_youtubevis2019': {'videos', 'YouTube-VIS'},
    '8xb4-12k_youtubevis2021': {'videos', 'YouTube-VIS'},
    '8xb2-12k_ovis': {'videos', 'OVIS'}
}
#: Name of each config to the words that its columns may ask for.
FAMILIES = {
    f'idol_{net}_{stage}': a | b | {'Plain'}
    for net, a in NETS.items() for stage, b in STAGES.items()
} | {
    f'idol-memcnp_{net}_{stage}': NETS[net] | STAGES[stage] | {'MemCNP'}
    for net in ('r50', 'swin-l')
    for stage in ('8xb4-12k_youtubevis2021', '8xb2-12k_ovis')
}
WORDS = set().union(*FAMILIES.values())


def documented(words):
    """Key to value, as the README gives them for one config."""
    values = {}
    for head, *rows in tables('setting', IDOL):
        assert head[1] == 'key' and head[-1] == 'source'
        for row in rows:
            assert len(row) == len(head) and row[-1], row
            key = row[1].strip('`')
            for column, cell in zip(head[2:-1], row[2:-1], strict=True):
                asked = set(column.split()) - {'all'}
                assert asked <= WORDS, f'unknown column {column!r}'
                if asked <= words:
                    assert key not in values, f'{key} stands there twice'
                    values[key] = literal(cell)
    return values


def test_every_file_is_known():
    assert set(NAMES) - FAMILIES.keys() == {
        'idol_r50_official', 'idol_r50_official_youtubevis2021',
        'idol_r50_official_ovis', 'idol_r101_official',
        'idol_r18_images_movingshapes', 'idol_r18_movingshapes',
        'idol-memcnp_r18_movingshapes'}
    assert FAMILIES.keys() <= set(NAMES)


@pytest.mark.parametrize('name', FAMILIES)
def test_every_number_has_its_row(name):
    config = dict(leaves(load(name, IDOL)))
    said = documented(FAMILIES[name])
    # A setting that is switched off has no settings of its own.
    off = [key for key, value in config.items() if value is None]
    assert {key: config.get(key, ABSENT) for key in said
            if key in config or said[key] != ABSENT} == {
                key: value for key, value in said.items()
                if key in config or value != ABSENT}
    assert off
    binding = {key for key in config
               if BINDING.match(key) and not NOT_A_NUMBER.search(key)}
    assert len(binding) > 60
    assert binding - {k for k, v in said.items() if v != ABSENT} == set()


def test_parameters():
    (head, *rows), = tables('config', IDOL)
    assert head[1:] == ['total', 'trainable']
    listed = set()
    for row in rows:
        name = re.search(r'\]\((.+)\.py\)', row[0]).group(1)
        listed.add(name)
        sizes = [(p.numel(), p.requires_grad)
                 for p in build(name, IDOL).parameters()]
        assert list(map(int, row[1:])) == [
            sum(n for n, _ in sizes), sum(n for n, grad in sizes if grad)]
    assert listed == FAMILIES.keys()


@pytest.mark.parametrize('stage', ['8xb4-12k_youtubevis2021',
                                   '8xb2-12k_ovis'])
def test_memcnp_differs_from_its_host_in_this_alone(stage):
    host, ours = (load(f'{name}_r50_{stage}', IDOL)
                  for name in ('idol', 'idol-memcnp'))
    ours.pop('memcnp_queries')
    assert {key for key, _ in changes(host, ours)} == {'model.memcnp'}


@pytest.mark.parametrize('net, host, paper', [
    ('r50', 42_843_387, 44.0e6), ('swin-l', 213_402_671, 214.4e6)])
def test_parameters_as_in_table_1(net, host, paper):
    """What is trained, of which MemCNP is 0.9 to 1.3 M."""
    plain, ours = (
        sum(p.numel()
            for p in build(f'{name}_{net}_8xb4-12k_youtubevis2021', IDOL
                           ).parameters() if p.requires_grad)
        for name in ('idol', 'idol-memcnp'))
    assert plain == host
    assert abs(ours - paper) < 0.2e6 and 0.9e6 < ours - plain < 1.3e6


def test_the_readme_counts_as_the_tool_does():
    count = runpy.run_path(str(COMPLEXITY))['count_parameters']
    (head, *rows), = tables('Table 1', IDOL)
    for row in rows:
        name = re.search(r'\]\((.+)\.py\)', row[0]).group(1)
        found = count(build(name, IDOL))
        assert [str(found[part]) for part in head[1:-1]] == row[1:-1]
        assert found['trainable'] == found['total']
    assert len(rows) == 4


def test_only_backbone_and_projection_differ_with_swin_l():
    """What the README says of the two totals in Table 1, either of which
    asks for an addition of MemCNP that the other excludes."""
    shapes, counts = [], []
    for net in ('r50', 'swin-l'):
        model = build(f'idol_{net}_8xb4-12k_youtubevis2021', IDOL)
        shapes.append({n: p.shape for n, p in model.named_parameters()
                       if not n.startswith(('backbone.', 'neck.'))})
        counts.append(sum(p.numel() for p in model.parameters()
                          if p.requires_grad))
    assert shapes[0] == shapes[1]
    r50, swin = counts
    assert swin - r50 == 170_559_284
    added = 44.0e6 - 0.05e6 - r50, 214.4e6 + 0.05e6 - swin
    assert added[0] > added[1]


@pytest.mark.parametrize('names, classes', [
    (('idol_r50_8xb4-12k_youtubevis2019', 'idol_r50_official'),
     YOUTUBE_VIS_2019),
    (('idol_r101_8xb4-12k_youtubevis2019', 'idol_r101_official'),
     YOUTUBE_VIS_2019),
    (('idol_r50_8xb4-12k_youtubevis2021', 'idol_r50_official_youtubevis2021'),
     YOUTUBE_VIS_2021),
    (('idol_r50_8xb2-12k_ovis', 'idol_r50_official_ovis'), OVIS)])
def test_official(names, classes):
    official = load(names[1], IDOL)
    assert dataset_classes(official['test_dataloader']['dataset']) == classes
    assert official['model']['num_classes'] == len(classes)
    assert dict(changes(*(load(n, IDOL) for n in names))) == {
        'model.encoder.extra_level_mask': 'finest'}
    (_, row), = tables('option (`model.`)', IDOL)
    models = [build(n, IDOL) for n in names]
    assert row[0] == '`encoder.extra_level_mask`'
    assert [m.encoder.extra_level_mask for m in models] == list(
        map(literal, row[1:3]))


@pytest.mark.parametrize('name', NAMES)
def test_complete(name):
    cfg = config_of(name, IDOL)
    assert cfg.custom_imports.imports == ['mmvis_memcnp']
    assert cfg.default_scope == 'mmdet'
    assert cfg.train_dataloader.sampler.type == 'ResumableSampler'
    assert cfg.train_cfg.type.startswith('Resumable')
    assert cfg.default_hooks.checkpoint.type == 'AtomicCheckpointHook'
    by_epoch = 'Epoch' in cfg.train_cfg.type
    assert cfg.default_hooks.checkpoint.get('by_epoch', True) == by_epoch
    assert cfg.log_processor.by_epoch == by_epoch
    if 'coco' in name or 'images' in name:
        assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
        assert cfg.test_cfg is cfg.test_dataloader is None
        assert cfg.test_evaluator is None
    else:
        assert cfg.val_cfg.type == 'VideoValLoop'
        assert cfg.test_dataloader.sampler.type == 'VideoFrameSampler'
    Config.fromstring(cfg.pretty_text, '.py')


def test_metafile_names_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert 'configs/idol/metafile.yml' in index['Import']
    meta = yaml.safe_load((IDOL / 'metafile.yml').read_text())
    (collection, ) = meta['Collections']
    assert (ROOT / collection['README']).is_file()
    assert (ROOT / collection['Code']['URL']).is_file()
    assert {m['Name'] for m in meta['Models']} == FAMILIES.keys()
    for model in meta['Models']:
        cfg = config_of(model['Name'], IDOL)
        said, loop = model['Metadata'], cfg.train_cfg
        assert (ROOT / model['Config']).stem == model['Name']
        assert said['Batch Size'] == cfg.auto_scale_lr.base_batch_size
        assert said['Batch Size'] == 8 * cfg.train_dataloader.batch_size
        assert said.get('Iterations') == loop.get('max_iters')
        assert said.get('Epochs') == loop.get('max_epochs')
        data = cfg.train_dataloader.dataset.type
        assert said['Training Data'] == data.replace('CocoPseudoVideo', 'COCO')
        assert 'Results' not in model and 'Weights' not in model


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Large enough for a crop."""
    folder = tmp_path_factory.mktemp('videos')
    generate(folder / 'train', 1, 2, (420, 640), 0, 'easy')
    return folder


@pytest.mark.parametrize('stage', ['8xb4-12k_youtubevis2019',
                                   '8xb2-12k_ovis', '8xb4-59k_coco-pairs'])
def test_pipelines(stage, videos):
    """Frames of a clip that are cropped differently make a batch."""
    init_default_scope('mmdet')
    small = config_of('idol_r18_movingshapes', IDOL).train_dataloader.dataset
    cfg = config_of(f'idol_r50_{stage}', IDOL).train_dataloader.dataset
    Compose(cfg.pipeline)
    data = DATASETS.build(small | dict(
        data_root=str(videos), pipeline=cfg.pipeline))
    np.random.seed(0)
    shapes, items = set(), []
    for _ in range(6):
        items.append(data[0])
        frames = items[-1]['data_samples'].video_data_samples
        shapes |= {f.img_shape for f in frames}
        size = items[-1]['inputs'].shape[-2:]
        assert size == tuple(max(f.img_shape[i] for f in frames)
                             for i in (0, 1))
        for f in frames:
            assert len(f.gt_instances) == len(f.gt_instances.instances_ids)
    assert len(shapes) > 3
    model = tiny_model(num_classes=6)
    batch = model.data_preprocessor(pseudo_collate(items[:2]), True)
    with torch.no_grad():
        losses = model(**batch, mode='loss')
    assert all(v.isfinite() for v in losses.values())
