"""The backbones that query hosts may be given."""
import re

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from .trees import CONFIGS, NAMES, leaves, load

#: What mmengine fetches by itself: plain files, named by their authors.
FETCHED = {
    'https://download.pytorch.org/models/resnet50-0676ba61.pth',
    'https://download.pytorch.org/models/resnet101-63fe2227.pth',
    'https://download.pytorch.org/models/resnext101_64x4d-173b62eb.pth',
    'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
    'swin_large_patch4_window12_384_22k.pth'
}


def build(backbone, **changes):
    """A backbone without values, and without its initial weights."""
    init_default_scope('mmdet')
    with torch.device('meta'):
        return MODELS.build(dict(backbone, init_cfg=None, **changes))


def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_swin_l_has_the_parameters_of_table_1(monkeypatch):
    """195.2 M; 384 of them, of the output that is not used, are left out."""
    # mmdet reads the rates of drop path back, which a meta tensor has not.
    linspace = torch.linspace
    monkeypatch.setattr(torch, 'linspace',
                        lambda *args: linspace(*args, device='cpu'))
    cfg = Config.fromfile(CONFIGS / '_base_/models/swin-l.py')
    model = build(cfg.swin_l, convert_weights=False)
    assert sum(p.numel() for p in model.parameters()) == 195_201_204 - 384
    assert list(cfg.swin_l_channels) == [
        model.num_features[i] for i in model.out_indices]


@pytest.mark.parametrize('name', [
    'idol/idol_r101_8xb4-12k_youtubevis2019',
    'seqformer/seqformer_r101_8xb2-12k_youtubevis2019',
    'instanceformer/instanceformer_r101_4xb4-16e_youtubevis2021'])
def test_resnets_are_frozen_as_in_detectron2(name):
    model = build(ConfigDict(load(name)['model']['segmenter']['backbone']))
    assert sum(p.numel() for p in model.parameters()) == 42_500_160
    model.train()
    assert not any(p.requires_grad for n, p in model.named_parameters()
                   if 'bn' in n or 'downsample.1' in n
                   or n.startswith(('conv1', 'layer1')))
    assert all(not m.training for m in model.modules()
               if isinstance(m, torch.nn.BatchNorm2d))
    assert trainable(model) > 42_000_000


def test_initial_weights_are_urls_or_files():
    """No scheme asks for a package that is not required (torchvision), and
    the query systems start from the same files."""
    found = set()
    for name in NAMES:
        for key, value in leaves(load(name)['model']):
            if isinstance(value, str) and '://' in value:
                assert re.fullmatch(
                    r'(segmenter\.)?backbone\.init_cfg\.checkpoint', key), (
                        name, key)
                found.add(value)
    assert found == FETCHED
