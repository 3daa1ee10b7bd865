"""What every config file has, and what is said when a file is missing."""
import re

import pytest
import yaml
from mmengine.config import Config, ConfigDict

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.errors import UserError

from .trees import FOLDER, NAMES, config_of

ROOT = FOLDER.parents[1]
RESNET = 'sipmask-memcnp_r50_fpn_8xb8-12e_youtubevis2021'


@pytest.mark.parametrize('name', NAMES)
def test_complete(name):
    cfg = config_of(name)
    assert cfg.custom_imports.imports == ['mmvis_memcnp']
    assert cfg.default_scope == 'mmdet'
    assert cfg.val_cfg.type == 'VideoValLoop'
    assert cfg.test_cfg.type == 'VideoTestLoop'
    assert cfg.test_dataloader.sampler.type == 'VideoFrameSampler'
    assert cfg.train_dataloader.sampler.type == 'ResumableSampler'
    assert cfg.default_hooks.checkpoint.type == 'AtomicCheckpointHook'


@pytest.mark.parametrize('name',
                         [n for n in NAMES
                          if not re.search('movingshapes|one-clip', n)])
def test_resumes_exactly(name):
    assert config_of(name).train_cfg.type == 'ResumableEpochTrainLoop'


def test_reads_back_from_a_work_dir():
    cfg = config_of(RESNET)
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert again.to_dict() == cfg.to_dict()


def test_missing_data_is_said():
    cfg = config_of(RESNET)
    with pytest.raises(UserError, match=(
            'There is no annotation file at data/youtube_vis_2021/train/'
            'instances.json: correct ann_file')):
        preflight.check_annotations(cfg, 'train_dataloader')


@pytest.mark.parametrize('name, file', [
    (RESNET, 'checkpoints/resnet50_caffe.pth'),
    (RESNET.replace('r50', 'vit-b'), 'checkpoints/mae_pretrain_vit_base.pth'),
    ('sipmask_r50_fpn_8xb8-12e_ovis', 'checkpoints/resnet50_caffe.pth'),
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


def test_metafile_names_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == sorted(
        str(p.relative_to(ROOT))
        for p in (ROOT / 'configs').glob('*/metafile.yml'))
    meta = yaml.safe_load((FOLDER / 'metafile.yml').read_text())
    collections = {c['Name'] for c in meta['Collections']}
    for collection in meta['Collections']:
        assert (ROOT / collection['README']).is_file()
    models = {m['Name']: m for m in meta['Models']}
    assert len(models) == len(meta['Models'])
    assert models.keys() == {
        n.split('/')[-1] for n in NAMES
        if not re.search('official|movingshapes|one-clip', n)
    }
    for name, model in models.items():
        path = (ROOT / model['Config']).relative_to(FOLDER).with_suffix('')
        assert str(path) in NAMES and path.name == name
        assert model['In Collection'] in collections
        assert model['Metadata']['Epochs'] == 12
        data = config_of(str(path)).train_dataloader.dataset.type
        assert model['Metadata']['Training Data'] == data
        assert 'Results' not in model and 'Weights' not in model
