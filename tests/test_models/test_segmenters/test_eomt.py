"""Queries among the tokens of a ViT: who sees whom, sizes, phases."""
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.models.backbones import DINOv2
from mmvis_memcnp.models.backbones.dinov2 import resample_kernel
from tests.fakes.tiny_videomt import tiny_frames, tiny_videomt_config


def segmenter(**settings):
    init_default_scope('mmdet')
    cfg = tiny_videomt_config()['segmenter']
    backbone = {**cfg['backbone'], **settings.pop('backbone', {})}
    return MODELS.build({**cfg, **settings, 'backbone': backbone})


@pytest.fixture(scope='module')
def net():
    return tiny_frames().segmenter


@pytest.mark.parametrize('patch, steps', [(8, 1), (16, 2), (32, 3)])
def test_masks_have_a_value_for_four_pixels(patch, steps):
    """Whatever the patches are."""
    built = segmenter(backbone=dict(patch_size=patch)).eval()
    assert len(built.upscale) == steps
    found = built(torch.randn(2, 3, 64, 96))
    assert found.mask_features.shape == (2, 32, 16, 24)
    assert found.logits.shape == (1, 2, 7, 4)
    assert found.masks().shape == (2, 7, 16, 24)


@pytest.mark.parametrize('settings, message', [
    (dict(backbone=dict(patch_size=14)), 'must be 8, 16, 32'),
    (dict(backbone=dict(patch_size=4)), 'must be 8, 16, 32'),
    (dict(num_blocks=0), 'num_blocks must be 1 to 3'),
    (dict(num_blocks=4), 'num_blocks must be 1 to 3')])
def test_sizes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        segmenter(**settings)


def test_zeros_are_what_a_side_lacks(net):
    """41 x 90 is 48 x 96 with zeros; its masks end where it ends."""
    frames = torch.randn(1, 3, 41, 90)
    padded = torch.nn.functional.pad(frames, (0, 6, 0, 7))
    net.eval()
    with torch.no_grad():
        one, two = net(frames), net(padded)
    net.train()
    assert torch.equal(one.logits, two.logits)
    assert one.mask_features.shape[-2:] == (11, 23)
    assert torch.equal(one.mask_features,
                       two.mask_features[..., :11, :23])


def test_frames_know_nothing_of_each_other(net):
    frames = torch.randn(3, 3, 32, 48)
    net.eval()
    with torch.no_grad():
        whole = net(frames)
        for t in range(3):
            torch.testing.assert_close(
                net(frames[t:t + 1]).logits[0], whole.logits[:, t],
                rtol=1e-5, atol=1e-5)
    net.train()


@pytest.mark.parametrize('iteration, shares', [
    (0, [1, 1]), (25, [1, 1]), (50, [0, 1]), (75, [0, 0]), (100, [0, 0])])
def test_masks_go_block_by_block(net, iteration, shares):
    """Of two blocks in four parts of a training: the first loses its masks in
    the second part, the other in the third."""
    net.set_progress(iteration, 100)
    assert net.mask_shares == shares
    net.set_progress(0, 100)


def test_a_share_falls_as_a_polynomial(net):
    net.set_progress(35, 100)
    assert net.mask_shares == [pytest.approx(.6**.9), 1]
    net.set_progress(0, 100)


def test_queries_look_within_their_masks(net):
    """Beside queries and prefix tokens; nothing else is limited."""
    frames = net.encode(torch.randn(2, 3, 32, 48))
    tokens = torch.cat((net.query.weight.expand(2, -1, -1), frames.tokens), 1)
    found = net.predict(tokens, frames)
    seen = net._seen(found, frames, 1.)[:, 0]
    count, start = 7, 7 + 5
    inside = torch.nn.functional.interpolate(
        found.masks(), size=(4, 6), mode='bilinear') > 0
    assert torch.equal(seen[:, :count, start:], inside.flatten(2))
    assert 0 < inside.float().mean() < 1
    assert seen[:, :count, :start].all() and seen[:, count:].all()
    # A share of 0 frees all of them.
    assert net._seen(found, frames, 0.).all()


def test_masks_of_attention_are_for_training_alone():
    stage = tiny_frames().segmenter
    frames = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        masked = stage.layers(frames)[-1].logits
        stage.set_progress(100, 100)
        free = stage.layers(frames)[-1].logits
        stage.set_progress(0, 100)
        eval_ = stage.eval()(frames).logits
    assert not torch.allclose(masked, free)
    torch.testing.assert_close(eval_, free)


# -- the ViT ------------------------------------------------------------------
def test_positions_of_another_size_are_read_in_between():
    vit = DINOv2(16, 1, 2, pos_grid=(4, 6))
    x = torch.arange(6.) + .5
    vit.pos_embed.data = x.repeat(4)[None, :, None].expand(1, 24, 16) / 6
    wide = vit.positions(4, 12).view(4, 12, 16)[..., 0]
    # Away from the edges a line stays a line.
    expected = (torch.arange(12.) + .5) / 12
    torch.testing.assert_close(wide[1, 3:9], expected[3:9],
                               rtol=1e-4, atol=1e-4)
    assert vit.positions(4, 6) is vit.pos_embed


def test_a_file_of_dinov2_starts_it():
    """Its class token has a position; patches are of 14 pixels, positions of
    another grid."""
    vit = DINOv2(16, 2, 2, patch_size=8, pos_grid=(4, 6), num_registers=3)
    state = {k: torch.randn_like(v) for k, v in vit.state_dict().items()
             if k not in ('reg_token', 'pos_embed', 'patch_embed.proj.weight')}
    positions, registers = torch.randn(1, 1 + 25, 16), torch.randn(1, 3, 16)
    cls = state['cls_token'].clone()
    state.update({'register_tokens': registers, 'pos_embed': positions,
                  'mask_token': torch.zeros(1, 16),
                  'patch_embed.proj.weight': torch.randn(16, 3, 14, 14)})
    vit.load_state_dict(state, strict=True)
    assert torch.equal(vit.reg_token, registers)
    assert torch.equal(vit.cls_token, cls + positions[:, :1])
    assert vit.pos_embed.shape == (1, 24, 16)


def test_an_enlarged_patch_gives_the_same_token():
    """Of smooth patches of 14 pixels, enlarged to 16."""
    torch.manual_seed(0)
    kernel, patch = torch.randn(5, 3, 14, 14), torch.randn(3, 14, 14)
    large = torch.nn.functional.interpolate(
        patch[None], size=(16, 16), mode='bicubic', antialias=True)[0]
    before = (kernel * patch).flatten(1).sum(1)
    after = (resample_kernel(kernel, 16) * large).flatten(1).sum(1)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
