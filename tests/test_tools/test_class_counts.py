"""All programs that build a model build the same one from a config."""
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import DictAction

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.preflight import load_config
from mmvis_memcnp.datasets.class_counts import class_counts, sync_classes
from mmvis_memcnp.datasets.classes import OVIS, YOUTUBE_VIS_2021

ROOT = Path(__file__).resolve().parents[2]
SIPMASK = ROOT / 'configs/sipmask/sipmask_r50_fpn_8xb8-12e_youtubevis2021.py'
PARTS = ('train_dataloader', 'val_dataloader')

# A head as Mask2Former has it, on the data and loops of the config above.
QUERIES = f'''
_base_ = {str(SIPMASK)!r}
model = dict(_delete_=True, type='Queries', head=dict(
    num_things_classes=80, num_stuff_classes=53,
    loss_cls=dict(class_weight=[1.0] * 133 + [0.1])))
'''


class Built(Exception):
    """The config of a model, in place of the model."""


def load_tool(path):
    spec = importlib.util.spec_from_file_location(
        f'{path.stem}_of_counts', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def builders(tmp_path, monkeypatch):
    """By name: what each program builds for (config, options, checkpoint).
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'checkpoints/resnet50_caffe.pth').touch()

    def build(cfg):
        raise Built(cfg)

    class Runner:

        @staticmethod
        def from_cfg(cfg):
            build(cfg.model)

    monkeypatch.setattr(MODELS, 'build', build)
    for kind in ('Training', 'Test'):
        monkeypatch.setattr(f'mmvis_memcnp.cli.runner.{kind}', Runner)

    def built(call, *args):
        with pytest.raises(Built) as stop:
            call(*args)
        return stop.value.args[0]

    def command(name):
        module = load_tool(ROOT / 'tools' / f'{name}.py')

        def run(config, options, checkpoint):
            files = [str(checkpoint)] if name == 'test' else []
            monkeypatch.setattr(sys, 'argv', [
                name, str(config), *files, '--cfg-options', *options])
            return built(module.main)

        return run

    def values(options):
        return {key: DictAction._parse_iterable(value) for key, value in (
            option.split('=', 1) for option in options)}

    def inferencer(config, options, checkpoint):
        return built(lambda: VISInferencer(
            config, checkpoint, 'cpu', values(options)))

    def complexity(config, options, checkpoint):
        module = load_tool(ROOT / 'tools/analysis_tools/model_complexity.py')
        return built(module.build_model, config, values(options))

    def converter(config, options, checkpoint):
        module = load_tool(ROOT / 'tools/model_converters/'
                           'convert_checkpoint.py')
        cfg = load_config(str(config), values(options))
        return built(module.convert, checkpoint, cfg, 'sipmask')

    return dict(train=command('train'), test=command('test'),
                inferencer=inferencer, complexity=complexity,
                converter=converter)


def annotations(folder, names):
    """A json without videos; the categories alone count here."""
    path = folder / 'v.json'
    path.write_text(json.dumps(dict(videos=[], annotations=[], categories=[
        dict(id=i, name=name) for i, name in enumerate(names, 1)])))
    return [f'{part}.dataset.{key}' for part in PARTS for key in (
        f'data_root={folder}', f'ann_file={path.name}')]


@pytest.mark.parametrize('options, count', [
    ([], 40),  # the data set of the config
    (['type=OVIS'], 25),  # the class of another data set says its classes
    (["metainfo.classes=('cat','dog')"], 2),  # the config says them
    (['type=VISDataset'], 3),  # only the json says them
])
@pytest.mark.parametrize('head', ['sipmask', 'queries'])
def test_all_programs_agree(builders, tmp_path, head, options, count):
    config = SIPMASK
    if head == 'queries':
        config = tmp_path / 'queries.py'
        config.write_text(QUERIES)
    every = annotations(tmp_path, 'abc') + [
        f'{part}.dataset.{option}' for part in PARTS for option in options]
    checkpoint = tmp_path / 'w.pth'  # says nothing of classes
    torch.save(dict(state_dict={'bbox_head.sip_cof.bias': torch.zeros(1)}),
               checkpoint)
    models = {name: build(config, every, checkpoint)
              for name, build in builders.items()}
    for name, model in models.items():
        assert class_counts(model) == {count}, name
        assert model == models['train'], name
    if head == 'queries':
        part = models['test'].head
        assert (part.num_things_classes, part.num_stuff_classes) == (count, 0)
        assert part.loss_cls.class_weight == [1.] * count + [.1]


SHIPPED = sorted(ROOT.glob('configs/[a-z]*/*.py'))


def test_shipped_configs_agree_with_their_data():
    """Nothing is left to change: a number in a file is the one in use."""
    named = 0
    for path in SHIPPED:
        cfg = load_config(str(path))
        before = cfg.model.to_dict()
        named += sync_classes(cfg) is not None
        assert cfg.model.to_dict() == before, path.name
    assert named == len(SHIPPED) > 30


def test_a_checkpoint_says_its_classes(builders, tmp_path):
    """The model of a training on other data, with the config as it was."""
    every = annotations(tmp_path, 'abc')
    checkpoint = tmp_path / 'w.pth'
    for classes, count in ((OVIS, 25), (YOUTUBE_VIS_2021, 40)):
        torch.save(dict(
            state_dict={'backbone.x': torch.zeros(1)},
            meta=dict(dataset_meta=dict(classes=classes))), checkpoint)
        for name in ('test', 'inferencer'):
            if count == 40:
                model = builders[name](SIPMASK, every, checkpoint)
            else:
                with pytest.warns(UserWarning, match='names other classes'):
                    model = builders[name](SIPMASK, every, checkpoint)
            assert class_counts(model) == {count}, name


@pytest.mark.filterwarnings('ignore:The config names other classes')
def test_a_test_has_the_classes_of_the_checkpoint(tmp_path):
    """Model, data set and so the scores: nothing is to be overridden."""
    checkpoint = tmp_path / 'w.pth'
    torch.save(dict(state_dict={'backbone.x': torch.zeros(1)},
                    meta=dict(dataset_meta=dict(classes=('cup', 'hand')))),
               checkpoint)
    cfg = load_config(str(SIPMASK))
    for dataset in preflight.datasets(cfg, 'test_dataloader'):
        dataset['ann_file'] = ''
    preflight.set_test_checkpoint(cfg, str(checkpoint))
    assert class_counts(cfg.model) == {2}
    assert [tuple(d.metainfo['classes']) for d in preflight.datasets(
        cfg, 'test_dataloader')] == [('cup', 'hand')]


@pytest.mark.parametrize('name', ['train', 'test', 'inferencer', 'complexity',
                                  'converter'])
def test_data_that_differ_are_refused(builders, tmp_path, name):
    every = [*annotations(tmp_path, 'abc'),
             'train_dataloader.dataset.type=OVIS']
    checkpoint = tmp_path / 'w.pth'
    torch.save(dict(state_dict={'bbox_head.sip_cof.bias': torch.zeros(1)}),
               checkpoint)
    with pytest.raises(ValueError, match='val_dataloader has other classes'):
        builders[name](SIPMASK, every, checkpoint)
