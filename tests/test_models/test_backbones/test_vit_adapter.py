"""ViT-Adapter: sizes, positions, what learns, files of DINOv2, parameters."""
import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.converters import KEY_MAPS, VIT_ADAPTER
from mmvis_memcnp.models.backbones import ViTAdapter


def tiny(**options):
    torch.manual_seed(0)
    model = ViTAdapter(**{
        **dict(embed_dims=16, stage_depths=(1, 1, 2, 1), num_heads=2,
               pos_grid=(3, 3), layer_scale=1., conv_channels=4,
               deform_heads=2), **options})
    model.init_weights()
    # Attention that looks around, so that a wrong map would show.
    for layer in model.extractors:
        torch.nn.init.normal_(layer.attn.attention_weights.weight)
    return model


@pytest.mark.parametrize('size', [(64, 96), (70, 33), (1, 1)])
def test_any_size_gives_the_maps_of_the_padded_frame(size):
    model = tiny().eval()
    frames = torch.randn(2, 3, *size)
    maps = model(frames)
    height, width = size
    whole = model(F.pad(frames, (0, -width % 32, 0, -height % 32)))
    for x, padded, stride in zip(maps, whole, (4, 8, 16, 32), strict=True):
        h, w = -(-height // stride), -(-width // stride)
        assert x.shape == (2, 16, h, w)
        assert torch.equal(x, padded[..., :h, :w])


def test_frames_do_not_know_each_other():
    model, frames = tiny().eval(), torch.randn(3, 3, 32, 64)
    for x, alone in zip(model(frames), model(frames[1:2]), strict=True):
        assert torch.allclose(x[1:2], alone, atol=1e-5)


def test_positions_are_read_at_the_coordinates_of_dinov2():
    vit = tiny().vit
    assert vit.positions(3, 3) is vit.pos_embed
    grid = vit.pos_embed[0, 1:].view(3, 3, 16).permute(2, 0, 1)[None]

    def stretched(**options):
        return F.interpolate(grid, mode='bicubic', **options)[0].flatten(1).T

    found = vit.positions(2, 6)[0, 1:]
    assert torch.allclose(
        found, stretched(scale_factor=(2.1 / 3, 6.1 / 3)), atol=1e-6)
    # not those of the sizes, from which they differ by much
    assert (found - stretched(size=(2, 6))).abs().max() > 0.1 * grid.std()
    assert torch.equal(vit.positions(2, 6)[:, 0], vit.pos_embed[:, 0])


def gradients(model, frames):
    model.zero_grad()
    sum(x.square().mean() for x in model(frames)).backward()
    return {n: p.grad for n, p in model.named_parameters()}


def test_the_adapter_learns_and_the_vit_keeps_nothing(monkeypatch):
    """Without gradients in the ViT the adapter's are the same."""
    model, frames = tiny().train(), torch.randn(2, 3, 64, 64)
    found = gradients(model, frames)
    assert all((g is None) == n.startswith('vit.') for n, g in found.items())
    assert all(g.abs().max() > 0 for g in found.values() if g is not None)
    monkeypatch.setattr(
        'mmvis_memcnp.models.backbones.vit_adapter.torch.no_grad',
        torch.enable_grad)
    for p in model.vit.parameters():
        p.requires_grad_(True)
    whole = gradients(model, frames)
    assert whole['vit.blocks.0.attn.qkv.weight'] is not None
    for name, value in found.items():
        if value is not None:
            assert torch.allclose(value, whole[name], atol=1e-6), name


def test_patches_of_dinov2_are_resampled(tmp_path):
    """A file of DINOv2 has patches of 14 pixels and more than is read."""
    model = tiny()
    state = {k: v + 1 for k, v in model.vit.state_dict().items()}
    kernel = torch.randn(16, 3, 14, 14)
    torch.save(dict(state, **{'patch_embed.proj.weight': kernel,
                              'mask_token': torch.zeros(1, 16)}),
               tmp_path / 'dinov2.pth')
    other = tiny(init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'dinov2.pth')))
    loaded = other.vit.state_dict()
    for name in ('cls_token', 'blocks.4.ls2.gamma', 'pos_embed'):
        assert torch.equal(loaded[name], state[name]), name
    weight = loaded['patch_embed.proj.weight']
    # corners stay, and the middle lies between its neighbours
    assert torch.allclose(weight[..., [0, 0, -1, -1], [0, -1, 0, -1]],
                          kernel[..., [0, 0, -1, -1], [0, -1, 0, -1]])
    # at column 5 of 0..15 the old columns 4 and 5 meet: 5 * 13 / 15 = 4 1/3
    assert torch.allclose(weight[..., 0, 5], 2 / 3 * kernel[..., 0, 4] +
                          1 / 3 * kernel[..., 0, 5], atol=1e-5)


def test_four_stages_are_asked_for():
    with pytest.raises(ValueError, match='stage_depths is .*four numbers'):
        tiny(stage_depths=(1, 2))


def sizes_of(dims, depth, grid):
    """Parameters of the ViT and of the adapter, by hand."""
    block = 12 * dims**2 + 15 * dims  # 4 + 8 matrices; biases, norms, scales
    vit = 4 * depth * block + (768 + 1) * dims + (grid**2 + 2) * dims
    heads, points, hidden = 16, 4, dims // 4
    deform = 2 * (dims + 1) * dims + 3 * (dims + 1) * heads * points
    ffn = 2 * dims * hidden + dims + 11 * hidden
    stem = 9 * (3 * 64 + 2 * 64**2) + 9 * (64 * 128 + 128 * 256 + 256 * 256)
    prior = stem + 2 * (3 * 64 + 128 + 256 + 256) + dims * (
        64 + 128 + 256 + 256 + 4)
    rest = 3 * dims + (4 * dims + 1) * dims + 4 * 2 * dims
    return vit, prior + 6 * (deform + ffn + 6 * dims) + rest


@pytest.mark.parametrize('dims, depth, grid', [(1024, 6, 37), (1280, 8, 16)])
def test_parameters(dims, depth, grid):
    with torch.device('meta'):
        model = ViTAdapter(dims, (depth, ) * 4, pos_grid=(grid, grid))
    vit = sum(p.numel() for p in model.vit.parameters())
    found = vit, sum(p.numel() for p in model.parameters()) - vit
    assert found == sizes_of(dims, depth, grid)
    if dims == 1024:
        assert found == (304_552_960 - 3 * 1024, 22_948_800)


def test_names_of_a_whole_checkpoint():
    """As in a bare backbone, and none is taken for a part of Swin."""
    whole = KEY_MAPS['mask2former']
    for name in ('norm4.running_var', 'spm.conv3.0.weight', 'level_embed',
                 'interactions.3.extra_extractors.1.ffn.dwconv.dwconv.bias',
                 'vit_module.blocks.0.norm1.weight', 'up.bias'):
        assert whole.rename(f'backbone.{name}') == (
            f'segmenter.backbone.{VIT_ADAPTER.rename(name)}'), name
    assert whole.why_ignored('backbone.vit_module.norm.weight')
    assert not whole.why_ignored('backbone.vit_module.blocks.0.norm1.w')
