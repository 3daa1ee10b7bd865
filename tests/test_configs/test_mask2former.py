"""The shipped segmenters have the official sizes."""
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmvis_memcnp.datasets.class_counts import sync_classes

from .trees import build, config_of

MODELS_DIR = Path(__file__).resolve().parents[2] / 'configs/_base_/models'


def sizes(cfg):
    """Parameters of the parts of a segmenter."""
    init_default_scope('mmdet')
    linspace = torch.linspace
    with torch.device('meta'), pytest.MonkeyPatch.context() as patch:
        # mmdet reads the rates of drop path back, which a meta tensor has not
        patch.setattr(torch, 'linspace',
                      lambda *args: linspace(*args, device='cpu'))
        cfg.backbone.pop('convert_weights', None)
        model = MODELS.build(dict(cfg, embed_dims=256))
    return [sum(p.numel() for p in part.parameters()) for part in (
        model.backbone, model.pixel_decoder, model.decoder,
        model.embed_head)]


def test_resnet_50():
    """CTVIS: 44,157,353, of which the norms of the backbone have none."""
    cfg = Config.fromfile(MODELS_DIR / 'mask2former_r50.py').model.segmenter
    assert sizes(cfg) == [
        23_454_912 + 53_120, 6_035_904, 14_666_537 - 197_376, 197_376]


def test_swin_l():
    """DVIS-DAQ: 20.508 M between backbone and tracker, 200 queries."""
    cfg = config_of(
        'minvis/minvis_swin-l_16xb2-6k_youtubevis2019').model.segmenter
    backbone, *others = sizes(cfg)
    assert backbone == 195_201_204
    assert round(sum(others) / 1e6, 3) == 20.508


def test_vit_l():
    """DVIS-DAQ: 327.5 M, less the two tensors that nothing reads, and 20.819
    M between backbone and tracker, 200 queries. Table 1 of MemCNP: 327.5 and
    20.8."""
    cfg = config_of(
        'dvis_daq/dvis-daq_vitl_8xb1-160k-coco-joint_youtubevis2019').model.segmenter
    backbone, *others = sizes(cfg)
    assert backbone == 327_501_760 - 3 * 1024
    assert sum(others) == 20_819_177


def test_classes_follow_the_data():
    cfg = Config.fromfile(MODELS_DIR / 'mask2former_r50.py')
    whole = dict(model=cfg.model,
                 train_dataloader=dict(dataset=dict(type='OVIS')))
    assert len(sync_classes(whole)) == 25
    assert cfg.model.segmenter.decoder.num_classes == 25


@pytest.mark.parametrize('name', ['r50_8xb4', 'swin-l_16xb2'])
def test_who_decays_and_how_fast_each_learns(name):
    """Norms, embeddings and Swin's position biases do not decay; the backbone
    learns at a tenth."""
    name = f'minvis/minvis_{name}-6k_youtubevis2019'
    model, cfg = build(name), config_of(name).optim_wrapper
    groups = build_optim_wrapper(model, cfg).optimizer.param_groups
    rates = {id(p): (g['lr'], g['weight_decay'])
             for g in groups for p in g['params']}
    still = {id(p) for module in model.modules() for p in module.parameters(
        recurse=False) if isinstance(module, (
            nn.LayerNorm, nn.GroupNorm, nn.Embedding))}
    seen = set()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = 1e-5 if key.startswith('segmenter.backbone.') else 1e-4
        fixed = id(parameter) in still or key.endswith('_bias_table')
        assert rates[id(parameter)] == pytest.approx(
            (rate, 0. if fixed else .05)), key
        seen.add((rate, fixed))
    assert len(seen) == (3 if 'r50' in name else 4)
