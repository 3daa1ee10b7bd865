"""Layers that train by other operations than mmcv's and mmdet's: the same
numbers."""
import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN

from mmvis_memcnp.models.layers import FeatureAlign, feature_align
from mmvis_memcnp.models.layers.activations import RELU


def outputs_and_gradients(run, inputs):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    out, parameters = run(*inputs)
    out.sin().sum().backward()
    return [out, *(x.grad for x in inputs), *(p.grad.clone()
                                              for p in parameters)]


# a map of several cells; one that is smaller than the kernel
@pytest.mark.parametrize('size', [(5, 7), (2, 3)])
def test_feature_align_is_mmcvs_convolution(size, monkeypatch):
    torch.manual_seed(0)
    align = FeatureAlign(8, 12, norm_cfg=dict(type='GN', num_groups=3))
    torch.nn.init.normal_(align.conv_offset.weight, std=.2)
    torch.nn.init.normal_(align.conv_adaption.weight, std=.2)
    inputs = torch.randn(2, 8, *size), torch.rand(2, 4, *size) * 3

    def run(feat, distances):
        align.zero_grad()
        # distances are detached
        return align(feat, distances) + 0 * distances.sum(), list(
            align.parameters())

    ours = outputs_and_gradients(run, inputs)
    monkeypatch.setattr(feature_align, 'stand_in', lambda: None)
    for found, expected in zip(ours, outputs_and_gradients(run, inputs),
                               strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert all(x.abs().max() > 0 for x in ours[:2] + ours[3:])


def test_feed_forward_networks_write_over_nothing():
    """The same numbers, and no copies of slices in the backward pass."""
    nodes, found = [], []
    inputs = [torch.randn(2, 3, 8)]
    for options in (dict(act_cfg=RELU), {}):
        torch.manual_seed(0)
        ffn = FFN(8, 16, **options)
        found.append(outputs_and_gradients(
            lambda x, ffn=ffn: (ffn(x), list(ffn.parameters())), inputs))
        names, left = set(), [ffn(inputs[0]).grad_fn]
        while left:
            node = left.pop()
            if node is not None:
                names.add(node.name())
                left += [other for other, _ in node.next_functions]
        nodes.append(names)
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)
    assert not any('CopySlices' in name for name in nodes[0])
    assert any('CopySlices' in name for name in nodes[1])
