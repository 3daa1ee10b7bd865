"""What every config file has, and what is said when a file is missing."""
import re

import pytest
import yaml
from mmengine.config import Config, ConfigDict

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.errors import UserError

from .trees import CONFIGS, NAMES, ROOT, SYSTEMS, build, config_of, configs_of

RESNET = 'sipmask/sipmask-memcnp_r50_fpn_8xb8-12e_youtubevis2021'
#: Of configs whose name does not say it.
GPUS = dict(ctvis=8, o2vis=8, sipmask=8, instanceformer=4, seqformer=8,
            mask2former_vis=8, ifr=8, videomt=8)


@pytest.mark.parametrize('name', NAMES)
def test_complete(name):
    cfg = config_of(name)
    assert cfg.custom_imports.imports == ['mmvis_memcnp']
    assert cfg.default_scope == 'mmdet'
    assert cfg.train_dataloader.sampler.type == 'ResumableSampler'
    assert cfg.train_cfg.type in ('ResumableEpochTrainLoop',
                                  'ResumableIterTrainLoop')
    assert cfg.default_hooks.checkpoint.type == 'AtomicCheckpointHook'
    by_epoch = cfg.train_cfg.type == 'ResumableEpochTrainLoop'
    assert cfg.default_hooks.checkpoint.get('by_epoch', True) == by_epoch
    assert cfg.log_processor.by_epoch == by_epoch
    tested = [cfg.get(key) for key in (
        'test_cfg', 'test_dataloader', 'test_evaluator', 'val_dataloader',
        'val_evaluator', 'val_cfg')]
    if re.search('_coco|images', name):  # there are no tracks to judge
        assert tested == [None] * 6
    else:
        assert cfg.val_cfg.type == 'VideoValLoop'
        assert cfg.test_cfg.type == 'VideoTestLoop'
        assert cfg.test_dataloader.sampler.type == 'VideoFrameSampler'
        assert cfg.test_evaluator.type == 'VISMetric'


@pytest.mark.parametrize('name', NAMES)
def test_builds(name):
    assert sum(p.numel() for p in build(name).parameters()) > 1e5


@pytest.mark.parametrize('name', NAMES)
def test_reads_back_from_a_work_dir(name):
    cfg = config_of(name)
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert again.to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'name', configs_of('videomt') + configs_of('minvis') + configs_of('o2vis'))
def test_masks_of_queries_that_nobody_needs_are_not_made(name):
    model = config_of(name).model
    if 'offline' in name:  # a whole video is ranked before its masks are made
        assert 'num_shown' not in model
    elif 'official' in name:
        assert model.num_shown is None
    else:
        assert model.num_shown == 3 * model.ranking.num_pairs


def test_missing_data_is_said():
    cfg = config_of(RESNET)
    with pytest.raises(UserError, match=(
            'There is no annotation file at data/youtube_vis_2021/train/'
            'instances.json: correct ann_file')):
        preflight.check_annotations(cfg, 'train_dataloader')


@pytest.mark.parametrize('name, file', [
    (RESNET, 'checkpoints/resnet50_caffe.pth'),
    (RESNET.replace('r50', 'vit-b'), 'checkpoints/mae_pretrain_vit_base.pth'),
    ('sipmask/sipmask_r50_fpn_8xb8-12e_ovis',
     'checkpoints/resnet50_caffe.pth'),
])
def test_missing_initial_weights(name, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = config_of(name)
    with pytest.raises(UserError,
                       match=f'There are no initial weights at {file}'):
        preflight.prepare_initial_weights(cfg)
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / file).touch()
    preflight.prepare_initial_weights(cfg)
    assert cfg.model.backbone.init_cfg.checkpoint == file


def test_a_resumed_training_needs_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = config_of(RESNET)
    cfg.resume = True
    preflight.prepare_initial_weights(cfg)
    assert cfg.model.backbone.init_cfg is None


def test_initial_weights_elsewhere():
    nested = ConfigDict(model=dict(neck=dict(parts=[
        dict(type='Part', init_cfg=dict(type='Pretrained', checkpoint='no')),
        dict(init_cfg=dict(type='Normal'))])))
    with pytest.raises(UserError, match='set init_cfg of Part to None'):
        preflight.prepare_initial_weights(nested)
    nested.model.neck.parts[0].init_cfg.checkpoint = 'https://host/a.pth'
    preflight.prepare_initial_weights(nested)


@pytest.mark.parametrize('system', SYSTEMS)
def test_metafile_names_every_config(system):
    """And says what the config says."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert f'configs/{system}/metafile.yml' in index['Import']
    meta = yaml.safe_load((CONFIGS / system / 'metafile.yml').read_text())
    collections = {c['Name'] for c in meta['Collections']}
    for collection in meta['Collections']:
        assert (ROOT / collection['README']).is_file()
        assert (ROOT / collection['Code']['URL']).is_file()
    models = {m['Name']: m for m in meta['Models']}
    assert len(models) == len(meta['Models'])
    assert models.keys() == {
        n.split('/')[-1] for n in configs_of(system)
        if not re.search('official|movingshapes|one-clip', n)
    }
    for name, model in models.items():
        path = (ROOT / model['Config']).relative_to(CONFIGS).with_suffix('')
        assert str(path) in NAMES and path.name == name
        assert model['In Collection'] in collections
        cfg, said = config_of(str(path)), model['Metadata']
        assert said.get('Iterations') == cfg.train_cfg.get('max_iters')
        assert said.get('Epochs') == cfg.train_cfg.get('max_epochs')
        assert said['Batch Size'] == cfg.auto_scale_lr.base_batch_size
        gpus = re.search(r'_(\d+)xb', name)
        assert said['Batch Size'] == cfg.train_dataloader.batch_size * int(
            gpus.group(1) if gpus else GPUS[system])
        data = cfg.train_dataloader.dataset
        found = [d.type for d in data.get('datasets', [data])]
        found = [dict(CocoPseudoVideo='COCO').get(d, d) for d in found]
        listed = said['Training Data']
        assert sorted([listed] if isinstance(listed, str)
                      else listed) == sorted(found)
        assert 'Results' not in model and 'Weights' not in model


def test_index_imports_every_metafile():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == [f'configs/{s}/metafile.yml' for s in SYSTEMS]
