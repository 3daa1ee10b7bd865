"""``with_cp``: less is kept for the backward pass, and gradients stay."""
import pytest
import torch
from mmdet.models.backbones import ResNet, SwinTransformer
from mmengine.config import Config
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parallel import DistributedDataParallel

from mmvis_memcnp.models.backbones import MAEViT, ViTAdapter
from mmvis_memcnp.models.segmenters.eomt import EoMTSegmenter
from tests.fakes.tiny_mask2former import CONFIGS
from tests.fakes.two_ranks import on_two_ranks

#: As tools/train.py wraps the model.
UNUSED = Config.fromfile(
    CONFIGS.parent / 'default_runtime.py').find_unused_parameters


class EoMT(EoMTSegmenter):
    """All that it predicts, as a backbone gives maps; the blocks of DINOv2,
    with masked attention in the last two."""

    def __init__(self, with_cp):
        super().__init__(
            backbone=dict(type='DINOv2', embed_dims=16, depth=4, num_heads=2,
                          patch_size=8, layer_scale=1., with_cp=with_cp),
            num_classes=3, num_queries=5, num_blocks=2)

    def forward(self, frames):
        return [x for layer in self.layers(frames)
                for x in (layer.logits, layer.masks())]


BACKBONES = {
    # mmdet's, in the form that our shim gives them
    'Swin': lambda with_cp: SwinTransformer(
        embed_dims=16, depths=(2, 2, 2, 1), num_heads=(1, 2, 2, 4),
        window_size=4, drop_path_rate=.3, with_cp=with_cp),
    'ResNet': lambda with_cp: ResNet(
        18, base_channels=8, norm_eval=True, with_cp=with_cp),
    'MAEViT': lambda with_cp: MAEViT(
        embed_dims=32, depth=4, num_heads=2, out_blocks=(1, 3),
        out_scales=(2., 1.), with_cp=with_cp),
    'ViTAdapter': lambda with_cp: ViTAdapter(
        embed_dims=16, stage_depths=(1, 1, 1, 1), num_heads=2,
        conv_channels=4, deform_heads=2, with_cp=with_cp),
    'DINOv2': EoMT,
}


def build(name, with_cp):
    torch.manual_seed(0)
    model = BACKBONES[name](with_cp)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=.1)
    model.train()
    return model


def gradients(model, seed=0):
    """Gradients by name; and bytes that were kept for the backward pass."""
    torch.manual_seed(seed)  # of dropped paths, too
    frames = torch.randn(2, 3, 64, 64)
    kept: dict[int, int] = {}

    def keep(x):
        storage = x.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return x

    with saved_tensors_hooks(keep, lambda x: x):
        loss = sum(x.square().mean() for x in model(frames))
    loss.backward()
    return {n: p.grad for n, p in model.named_parameters()
            if p.grad is not None}, sum(kept.values())


@pytest.mark.parametrize('name', BACKBONES)
def test_less_is_kept_for_the_same_gradients(name):
    (plain, much), (recomputed, little) = (
        gradients(build(name, with_cp)) for with_cp in (False, True))
    assert little < .7 * much
    assert plain.keys() == recomputed.keys()
    assert sum(g.abs().max() > 0 for g in plain.values()) > 10
    for key, value in plain.items():
        torch.testing.assert_close(recomputed[key], value, msg=key)


def _rank(rank):
    found = {}
    for name in BACKBONES:
        model = build(name, True)
        # A parameter that this rank does not use.
        model.register_parameter('unused', torch.nn.Parameter(torch.ones(1)))
        gradients(DistributedDataParallel(
            model, find_unused_parameters=UNUSED), seed=rank)
        found[name] = {n: p.grad for n, p in model.named_parameters()
                       if p.grad is not None and n != 'unused'}
    return found


def test_two_ranks(tmp_path):
    one, two = on_two_ranks(_rank, tmp_path)
    for name in BACKBONES:
        alone = [gradients(build(name, False), rank)[0] for rank in range(2)]
        for key in alone[0]:
            assert torch.equal(one[name][key], two[name][key])
            torch.testing.assert_close(
                one[name][key], (alone[0][key] + alone[1][key]) / 2, msg=key)
