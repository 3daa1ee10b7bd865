"""Box branches of query hosts, plain and with MemCNP."""
import pytest
import torch
from torch import nn

from mmvis_memcnp.models.memcnp import MemCNP, MemCNPBoxBranch, refine_boxes
from mmvis_memcnp.models.segmenters.deformable import (
    PlainBoxBranch,
    build_box_branches,
    reading,
)


class Host(nn.Module):
    """A memory and the branches of three layers that read it."""

    def __init__(self, layers=3, **options):
        super().__init__()
        torch.manual_seed(0)
        self.memcnp = MemCNP(
            **{'num_items': 6, 'feat_dims': 8, 'readout': 'raw', **options})
        self.branches = build_box_branches(layers, self.memcnp.bank.feat_dims,
                                           self.memcnp)
        self.branches.init_weights()

    def regress(self, query):
        return [b(query) for b in reading(self.branches, self.memcnp)]


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_without_memcnp_the_branches_are_plain():
    plain = build_box_branches(3, 8)
    assert [type(b) for b in plain] == [PlainBoxBranch] * 3
    assert [b.wide_start for b in plain] == [True, False, False]
    assert list(plain.state_dict())[:2] == ['0.last.weight', '0.last.bias']
    assert reading(plain, None) == list(plain)
    assert plain[1](torch.randn(2, 5, 8)).sigma is None


def test_parameters_added_to_a_host_of_six_layers():
    """A layer 66,564 of the wider MLP and 132,608 of the read-out: Table 1's
    44.0 M of IDOL are 42.84 M + 1.20 M. The bank of 33,280 numbers counts
    where it is trained."""
    plain = count(build_box_branches(6))
    one_each = count(Host(6, num_items=128, feat_dims=256))
    shared = count(Host(6, num_items=128, feat_dims=256, readout='mlp'))
    trained = count(Host(6, num_items=128, feat_dims=256, learnable=True))
    assert one_each - plain == 6 * (66_564 + 132_608)
    assert shared - plain == 6 * 66_564 + 132_608
    assert trained - one_each == 33_280


@pytest.mark.parametrize('readout', ['mlp', 'raw'])
def test_boxes_start_where_the_host_starts_them(readout):
    plain = build_box_branches(3, 8)
    plain.init_weights()
    query, reference = torch.randn(2, 5, 8), torch.rand(2, 5, 2)
    found = Host(readout=readout).regress(query)
    for ours, host in zip(found, plain, strict=True):
        assert torch.equal(
            refine_boxes(ours.delta, reference),
            refine_boxes(host(query).delta, reference))
        assert torch.allclose(ours.sigma, torch.tensor(0.7238), atol=1e-4)
        assert ours.sigma.shape == (2, 5, 4)


def test_a_plain_checkpoint_keeps_its_boxes():
    plain, host = build_box_branches(3, 8), Host()
    state = plain.state_dict()
    for name, branch in host.branches.named_children():
        branch.adapt_weights(state, f'{name}.')
    widened = dict(state)
    missing, unexpected = host.branches.load_state_dict(state, strict=False)
    assert not unexpected
    assert all('readout' in k for k in missing)
    query = torch.randn(2, 5, 8)
    for out, branch in zip(host.regress(query), plain, strict=True):
        assert torch.allclose(out.delta, branch(query).delta, atol=1e-6)
        assert torch.allclose(out.sigma, torch.tensor(0.7238), atol=1e-4)
    host.branches[0].adapt_weights(state, '0.')  # once is enough
    assert all(state[k] is widened[k] for k in state)


def test_all_layers_read_the_one_memory():
    host, query = Host(), torch.ones(1, 8)
    assert [k for k in host.state_dict() if 'items' in k] == [
        'memcnp.bank.items']
    assert all(isinstance(b, MemCNPBoxBranch) for b in host.branches)
    for branch in host.branches:
        torch.nn.init.normal_(branch.last.weight)
    before = host.regress(query)
    host.memcnp.bank.items.data.add_(torch.randn_like(host.memcnp.bank.items))
    for a, b in zip(before, host.regress(query), strict=True):
        assert not torch.equal(a.delta, b.delta)


def test_per_frame_queries_of_clips_are_no_maps():
    host, query = Host(), torch.randn(2, 3, 5, 8)
    torch.nn.init.normal_(host.branches[1].last.weight)
    out, one = host.regress(query)[1], host.regress(query[1, 2])[1]
    assert out.sigma.shape == (2, 3, 5, 4)
    assert torch.allclose(out.sigma[1, 2], one.sigma)
    assert torch.allclose(out.delta[1, 2], one.delta, atol=1e-6)


def test_gradients_reach_every_parameter():
    host = Host()
    for branch in host.branches:
        torch.nn.init.normal_(branch.last.weight)
    query = torch.randn(2, 5, 8, requires_grad=True)
    found = host.regress(query)
    total = sum(out.delta.sum() + out.sigma.square().sum() for out in found)
    # What autograd has saved is not that which a write changes in place.
    host.memcnp.write(query, torch.rand(2, 5, 2), torch.rand(2, 1, 4),
                      torch.ones(2, 1, dtype=torch.bool))
    total.backward()
    assert query.grad.abs().sum() > 0
    for name, parameter in host.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_bfloat16_keeps_sigma_in_float32():
    host = Host(learnable=True)
    query = torch.randn(2, 5, 8, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = host.regress(query)[0]
    assert out.delta.dtype == torch.bfloat16
    assert out.sigma.dtype == torch.float32
    (out.delta.float().sum() + out.sigma.sum()).backward()
    assert host.memcnp.bank.items.grad.isfinite().all()
