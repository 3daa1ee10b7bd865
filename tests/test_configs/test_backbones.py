"""The backbones that query hosts may be given."""
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from .trees import FOLDER

BASE = FOLDER.parents[0] / '_base_' / 'models'


def build(name, variable):
    init_default_scope('mmdet')
    cfg = Config.fromfile(BASE / f'{name}.py')
    backbone = dict(cfg[variable])
    backbone.pop('init_cfg', None)
    backbone['convert_weights'] = False
    if backbone['type'] == 'ResNet':
        del backbone['convert_weights']
    with torch.device('meta'):
        return cfg, MODELS.build(backbone)


def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_swin_l_has_the_parameters_of_table_1(monkeypatch):
    """195.2 M; 384 of them, of the output that is not used, are left out."""
    # mmdet reads the rates of drop path back, which a meta tensor has not.
    linspace = torch.linspace
    monkeypatch.setattr(torch, 'linspace',
                        lambda *args: linspace(*args, device='cpu'))
    cfg, model = build('swin-l', 'swin_l')
    assert sum(p.numel() for p in model.parameters()) == 195_201_204 - 384
    assert list(cfg.swin_l_channels) == [
        model.num_features[i] for i in model.out_indices]


@pytest.mark.parametrize('name, total', [('resnet101', 42_500_160)])
def test_resnets_are_frozen_as_in_detectron2(name, total):
    _, model = build(name, name)
    assert sum(p.numel() for p in model.parameters()) == total
    model.train()
    assert not any(p.requires_grad for n, p in model.named_parameters()
                   if 'bn' in n or 'downsample.1' in n
                   or n.startswith(('conv1', 'layer1')))
    assert all(not m.training for m in model.modules()
               if isinstance(m, torch.nn.BatchNorm2d))
    assert trainable(model) > 42_000_000
