"""An optimized model says the same, to rounding, in less time."""
import copy

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from torch import nn

from mmvis_memcnp.engine.optimize import (
    compile_model,
    optimize_model,
    precision_of,
)
from mmvis_memcnp.models.backbones.vit_block import ViTBlock
from mmvis_memcnp.results import decode_masks
from tests.fakes.systems import SYSTEMS, build
from tests.fakes.tiny_sipmask import batch, video

LENGTH = 4


def follow(model, level=None):
    """Results of the frames of a noise video, in chunks of three."""
    inputs, (sample, ) = batch(model, video(LENGTH), training=False)
    metas = [f.metainfo for f in sample.video_data_samples]
    session = model.session()
    with precision_of(level, inputs.device):
        results = [r for at in range(0, LENGTH, 3) for r in session.step(
            inputs[0, at:at + 3], metas[at:at + 3])]
        return results + session.flush()


def same(one: InstanceData, other: InstanceData) -> None:
    """Equal but for rounding."""
    assert one.instances_id.tolist() == other.instances_id.tolist()
    assert one.labels.tolist() == other.labels.tolist()
    assert torch.allclose(one.scores, other.scores, atol=1e-4)
    assert torch.allclose(one.bboxes, other.bboxes, atol=.05)
    shape = one.metainfo['ori_shape']
    masks = [decode_masks(x.masks, shape) for x in (one, other)]
    # A pixel whose logit is at the threshold may fall on either side.
    assert (masks[0] != masks[1]).mean() < 2e-3 if len(one) else True


@pytest.mark.parametrize('name', SYSTEMS)
def test_results_stay(name):
    model = build(name)
    for module in model.modules():  # norms that do something
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-.1, .1)
            module.running_var.uniform_(.8, 1.2)
    other = copy.deepcopy(model)
    optimize_model(other)
    expected, found = follow(model), follow(other)
    assert any(len(r) for r in expected)
    for one, two in zip(expected, found, strict=True):
        same(one, two)


def test_norms_are_gone_and_layers_are_by_onednn():
    model = build('idol')
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert norms > 15
    optimize_model(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    with torch.no_grad(), torch.profiler.profile() as profile:
        follow(model)
    names = {e.key for e in profile.key_averages()}
    assert {'aten::mkldnn_convolution', 'mkldnn::_linear_pointwise'} <= names
    assert 'aten::_slow_conv2d_forward' not in names


@pytest.mark.parametrize('layer, shape', [
    (nn.Linear(5, 7), (3, 4, 5)),
    (nn.Linear(5, 7, bias=False), (2, 5)),
    (nn.Linear(5, 7), (0, 5)),  # no rows
    (nn.Linear(5, 7), (5, )),
    (nn.Conv2d(4, 6, 1), (2, 4, 9, 7)),
    (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9, 7)),
    (nn.Conv2d(4, 6, 3, padding='same'), (1, 4, 9, 7)),
    (nn.Conv2d(4, 6, 3, padding=1, padding_mode='reflect'), (1, 4, 9, 7)),
    (nn.Conv2d(4, 6, 3, dilation=2, bias=False), (0, 4, 9, 7)),
    (nn.Conv2d(4, 6, 3), (4, 9, 7)),  # without a batch
])
def test_layers(layer, shape):
    x = torch.randn(shape)
    changed = nn.Sequential(copy.deepcopy(layer))
    optimize_model(changed)
    with torch.no_grad():
        found = changed(x)
        assert torch.allclose(found, layer(x), atol=1e-5)
        assert found.shape == layer(x).shape
        half = changed.double()(x.double())
        assert half.dtype == torch.float64
        with torch.autocast('cpu', torch.bfloat16):
            assert changed.float()(x).dtype == layer(x).dtype
    # With gradients it is PyTorch's own layer.
    assert changed(x).requires_grad


def test_attention_keeps_its_output_and_drops_its_weights():
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    changed = nn.Sequential(copy.deepcopy(attention))
    optimize_model(changed)
    x, hidden = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
    hidden[0, 3:] = True
    with torch.no_grad():
        expected, _ = attention(x, x, x, key_padding_mask=hidden)
        found, weights = changed[0](x, x, x, key_padding_mask=hidden)
    assert weights is None
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('count', [1, 40, 600])  # more rows than at a time
def test_blocks_of_a_vit(count):
    """Attention and GELU too are oneDNN's, and say what they said."""
    block = ViTBlock(24, 3, 1e-6, layer_scale=1.).eval()
    for value in block.parameters():
        value.data.add_(torch.randn_like(value) * .4)
    changed = copy.deepcopy(block)
    optimize_model(changed)
    x = torch.randn(2, count, 24)
    seen = torch.rand(2, 1, count, count) < .5
    seen[..., 0] = True
    assert changed(x).requires_grad
    torch.testing.assert_close(changed(x), block(x))
    with torch.no_grad():
        expected = block(x)
        with torch.profiler.profile() as profile:
            found = changed(x)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(changed(x, seen), block(x, seen),
                                   rtol=1e-5, atol=1e-4)
        with torch.autocast('cpu', torch.bfloat16):
            half = [b(x) for b in (changed, block)]
        assert half[0].dtype == half[1].dtype
        errors = [(y - expected).abs().mean() for y in half]
        assert 0 < errors[0] < 1.1 * errors[1]
    names = {e.key for e in profile.key_averages()}
    assert not names & {'aten::gelu', 'aten::scaled_dot_product_attention'}


def test_mixed_precision_is_another_one():
    model = build('idol')
    optimize_model(model)
    exact, mixed = follow(model), follow(model, 'mixed')
    scores = [np.concatenate([r.scores.float().numpy() for r in results])
              for results in (exact, mixed)]
    if len(scores[0]) == len(scores[1]):
        assert not np.array_equal(*scores)
        np.testing.assert_allclose(*scores, atol=.05)


@pytest.mark.parametrize('name, optimized', [
    ('idol', False),  # a ResNet
    ('minvis', True),  # of a segmenter
    ('videomt', True),  # a ViT, which is not called as a whole
])
def test_compiled_parts_say_the_same_at_any_size(name, optimized):
    model = build(name)
    if optimized:
        optimize_model(model)
    expected = copy.deepcopy(model)
    torch.compiler.reset()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    compile_model(model, backend)
    with torch.no_grad():
        for size in ((64, 96), (96, 64), (80, 112)):
            x = torch.randn(1, 7, 3, *size)
            for one, two in zip(expected(x), model(x), strict=True):
                assert torch.allclose(one, two, atol=1e-5)
    # They are compiled, and not for every size anew.
    first = len(graphs)
    assert first
    with torch.no_grad():
        model(torch.randn(1, 7, 3, 128, 96))
    assert len(graphs) == first
    for one, two in zip(follow(expected), follow(model), strict=True):
        same(one, two)
