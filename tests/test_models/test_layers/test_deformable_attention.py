"""Deformable attention against mmcv's module, and in half precision."""
import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention

from mmvis_memcnp.models.layers.deformable_attention import (
    DeformableAttention,
)

SHAPES = ((6, 9), (3, 5))
SIZE = dict(embed_dims=16, num_heads=4, num_levels=2, num_points=3)


def modules(**options):
    """Ours and mmcv's with the same random weights."""
    torch.manual_seed(0)
    ours = DeformableAttention(**SIZE, dropout=0., **options)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    theirs = MultiScaleDeformableAttention(
        **SIZE, dropout=0., batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    return ours.eval(), theirs.eval()


def inputs(box: bool, dtype=torch.float32, batch=2, queries=7):
    torch.manual_seed(1)
    rows = sum(h * w for h, w in SHAPES)
    padded = torch.zeros(batch, rows, dtype=torch.bool)
    padded[0, 4:6] = True
    shapes = torch.tensor(SHAPES)
    return dict(
        query=torch.randn(batch, queries, 16, dtype=dtype),
        value=torch.randn(batch, rows, 16, dtype=dtype),
        query_pos=torch.randn(queries, 16, dtype=dtype),
        key_padding_mask=padded,
        reference_points=torch.rand(batch, queries, 2, 4 if box else 2,
                                    dtype=dtype),
        spatial_shapes=shapes,
        level_start_index=torch.tensor([0, shapes[0].prod()]))


@pytest.mark.parametrize('box', [False, True])
def test_agrees_with_mmcv(box):
    found = []
    for module in modules():
        given = inputs(box)
        given['query'].requires_grad_()
        given['value'].requires_grad_()
        out = module(**given)
        out.sin().sum().backward()
        found.append((out, given['query'].grad, given['value'].grad,
                      *(p.grad for p in module.parameters())))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize('box', [False, True])
def test_without_gradients_it_reads_the_same(box):
    ours, theirs = modules()
    with torch.no_grad():
        found = ours(**inputs(box))
    assert torch.allclose(found, ours(**inputs(box)), atol=1e-6)
    assert torch.allclose(found, theirs(**inputs(box)), atol=1e-6)


def test_own_identity_and_queries_that_attend_to_themselves():
    ours, theirs = modules()
    given = inputs(False, queries=sum(h * w for h, w in SHAPES))
    given.update(value=None, identity=torch.ones_like(given['query']))
    assert torch.allclose(ours(**given), theirs(**given), atol=1e-6)


def test_sampling_points_keep_single_precision(monkeypatch):
    """Half a pixel of a frame of 2000 is less than bfloat16 can tell."""
    ours, _ = modules()
    torch.nn.init.zeros_(ours.sampling_offsets.weight)
    torch.nn.init.zeros_(ours.sampling_offsets.bias)
    given = inputs(False)
    given['reference_points'] = torch.full((2, 7, 2, 2), .5 + 1 / 2000)
    seen = []
    monkeypatch.setattr(
        'mmvis_memcnp.models.layers.deformable_attention.'
        'read_out_for_training',
        lambda value, shapes, points, weights: seen.append(
            (value, points, weights)) or value.new_zeros(2, 7, 16))
    with torch.autocast('cpu', torch.bfloat16):
        ours(**given)
    assert all(x.dtype == torch.float32 for x in seen[0])
    assert torch.equal(seen[0][1], torch.full_like(
        seen[0][1], .5 + 1 / 2000))


def test_autocast_is_close_to_double_precision():
    ours, _ = modules()
    given = inputs(True)
    with torch.autocast('cpu', torch.bfloat16):
        rough = ours(**given)
    exact = ours.double()(**{
        name: x.double() if x.is_floating_point() else x
        for name, x in given.items()})
    assert exact.dtype == torch.float64
    assert 0 < (rough - exact).abs().max() < .05


def test_weights_in_half_precision():
    """Without autocast, a model that was cast as a whole."""
    ours, _ = modules()
    given = inputs(True)
    exact = ours(**given)
    rough = ours.bfloat16()(**{
        name: x.bfloat16() if x.is_floating_point() else x
        for name, x in given.items()})
    assert rough.dtype == torch.bfloat16
    assert 0 < (rough.float() - exact).abs().max() < .1


def test_compiled_operator_takes_a_batch_of_any_size():
    """What its kernel asks of a batch, which mmcv's step of 64 breaks."""
    ours, theirs = modules()
    for batch in (1, 64, 65, 80, 1000):
        assert batch % min(batch, ours.im2col_step) == 0
    assert 80 % min(80, theirs.im2col_step)
