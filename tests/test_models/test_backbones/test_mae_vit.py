"""Plain ViT: sizes, positions, class token."""
import math

import pytest
import torch

from mmvis_memcnp.models.backbones import MAEViT
from mmvis_memcnp.models.backbones.mae_vit import sincos_position


def tiny(**options):
    torch.manual_seed(0)
    model = MAEViT(**{
        **dict(patch_size=4, embed_dims=8, depth=3, num_heads=2,
               out_blocks=(0, 1, 2), reset_cls_after=(1, ), pos_grid=(3, 4)),
        **options
    })
    model.init_weights()
    return model


def test_positions_by_hand():
    pos = sincos_position(8, (2, 3))
    # row 1, column 2: x first; frequencies 1 and 1/100
    expected = [f(v * w) for v in (2, 1) for f in (math.sin, math.cos)
                for w in (1, .01)]
    assert torch.allclose(pos[5], torch.tensor(expected))


@pytest.mark.parametrize('size', [(12, 16), (8, 24), (16, 16)])
def test_maps_have_their_strides(size):
    maps = tiny()(torch.randn(2, 3, *size))
    cells = [(int(size[0] / 4 * s), int(size[1] / 4 * s)) for s in (2, 1, .5)]
    assert [tuple(m.shape) for m in maps] == [(2, 8, *c) for c in cells]


def test_positions_are_kept_on_their_own_grid_and_stretched_elsewhere():
    model = tiny()
    own = model._positions(3, 4)
    assert torch.equal(own, model.pos_embed[:, 1:])
    model.pos_embed.data[:, 1:] = 2.5  # a constant stays one
    assert torch.allclose(model._positions(6, 5),
                          torch.full((1, 30, 8), 2.5), atol=1e-5)
    # a transposed grid has as many cells, but is another grid
    model = tiny()
    assert not torch.equal(model._positions(4, 3), own)


def test_class_token_starts_anew_after_its_block():
    """What came before block 1's end reaches block 2 by the patches only."""
    model = tiny(reset_cls_after=(1, )).eval()
    seen = []
    model.blocks[2].register_forward_pre_hook(
        lambda _m, args: seen.append(args[0][:, 0]))
    model(torch.randn(2, 3, 12, 16))
    fresh = (model.cls_token + model.pos_embed[:, :1])[:, 0].expand(2, -1)
    assert torch.equal(seen[0], fresh)
    free = tiny(reset_cls_after=()).eval()
    free.blocks[2].register_forward_pre_hook(
        lambda _m, args: seen.append(args[0][:, 0]))
    free(torch.randn(2, 3, 12, 16))
    assert not torch.allclose(seen[1], fresh)


def test_positions_are_not_trained_and_the_last_norm_is_not_used():
    model = tiny()
    sum(o.sum() for o in model(torch.randn(1, 3, 12, 16))).backward()
    assert {n for n, p in model.named_parameters() if p.grad is None} == {
        'pos_embed', 'norm.weight', 'norm.bias'}


def test_bad_sizes_and_options_are_named():
    with pytest.raises(ValueError, match='multiples of 4.*pad_size_divisor'):
        tiny()(torch.zeros(1, 3, 13, 16))
    with pytest.raises(ValueError, match='one scale for each block'):
        tiny(out_scales=(1., ))
