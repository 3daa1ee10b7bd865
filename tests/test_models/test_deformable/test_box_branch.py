"""Box branches of query hosts, plain and with MemCNP."""
import copy

import pytest
import torch

from mmvis_memcnp.models.memcnp import memory_target
from mmvis_memcnp.models.segmenters.deformable import (
    MemCNPBoxBranches,
    PlainBoxBranch,
    build_box_branches,
    refine_boxes,
)
from tests.fakes.two_ranks import on_two_ranks

MEMCNP = dict(type='MemCNP', num_items=6)


def branches(num_layers=3, embed_dims=8, **options):
    torch.manual_seed(0)
    built = build_box_branches(num_layers, embed_dims, {**MEMCNP, **options})
    built.init_weights()
    return built.train()


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_without_memcnp_the_branches_are_plain():
    plain = build_box_branches(3, 8)
    assert [type(b) for b in plain] == [PlainBoxBranch] * 3
    assert [b.wide_start for b in plain] == [True, False, False]
    assert list(plain.state_dict())[:2] == ['0.last.weight', '0.last.bias']
    out = plain[1](torch.randn(2, 5, 8))
    assert out.sigma is None and out.context is None


def test_parameters_added_to_a_host_of_six_layers():
    """Bank 33,280; a layer 66,564 of the wider MLP and 132,608 of the
    read-out: Table 1's 44.0 M of IDOL are 42.84 M + 1.23 M."""
    plain = count(build_box_branches(6))
    one_each = count(build_box_branches(6, 256, dict(type='MemCNP')))
    shared = count(
        build_box_branches(6, 256, dict(type='MemCNP', readout='mlp')))
    assert one_each - plain == 33_280 + 6 * (66_564 + 132_608)
    assert shared - plain == 33_280 + 6 * 66_564 + 132_608


@pytest.mark.parametrize('readout', ['per_layer', 'mlp', 'raw'])
def test_boxes_start_where_the_host_starts_them(readout):
    plain = build_box_branches(3, 8)
    plain.init_weights()
    query, reference = torch.randn(2, 5, 8), torch.rand(2, 5, 2)
    for ours, host in zip(branches(readout=readout), plain, strict=True):
        out = ours(query)
        assert torch.equal(
            refine_boxes(out.delta, reference),
            refine_boxes(host(query).delta, reference))
        assert torch.allclose(out.sigma, torch.tensor(0.7238), atol=1e-4)
        assert out.sigma.shape == (2, 5, 4)
        assert out.context.shape[:2] == (2, 5)


def test_a_plain_checkpoint_keeps_its_boxes():
    plain, ours = build_box_branches(3, 8), branches()
    state = plain.state_dict()
    for name, branch in ours.named_children():
        if name.isdigit():
            branch.adapt_weights(state, f'{name}.')
    widened = dict(state)
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected
    assert all('readout' in k or 'memcnp' in k for k in missing)
    query = torch.randn(2, 5, 8)
    for branch, host in zip(ours, plain, strict=True):
        out = branch(query)
        assert torch.allclose(out.delta, host(query).delta, atol=1e-6)
        assert torch.allclose(out.sigma, torch.tensor(0.7238), atol=1e-4)
    ours[0].adapt_weights(state, '0.')  # once is enough
    assert all(state[k] is widened[k] for k in state)


def test_the_bank_is_registered_once_and_shared():
    built = branches()
    banks = [k for k in built.state_dict() if k.endswith('bank.items')]
    assert banks == ['memcnp.bank.items']
    assert isinstance(built, MemCNPBoxBranches) and len(built) == 3
    assert len(list(built)) == 3 and built[-1] is built[2]
    with torch.no_grad():
        for branch in built:
            torch.nn.init.normal_(branch.last.weight)
    before = [b(torch.ones(1, 8)).delta for b in built]
    built.memcnp.bank.items.data.add_(
        torch.randn_like(built.memcnp.bank.items))
    after = [b(torch.ones(1, 8)).delta for b in built]
    assert not any(
        torch.equal(b, a) for b, a in zip(before, after, strict=True))


def test_a_copy_reads_its_own_bank():
    built = branches()
    twin = copy.deepcopy(built)
    query = torch.randn(4, 8)
    expected = built[0](query).context
    twin.memcnp.bank.items.data.zero_()
    assert torch.equal(built[0](query).context, expected)
    assert not torch.equal(twin[0](query).context, expected)


def test_per_frame_queries_of_clips_are_no_maps():
    built = branches()
    query = torch.randn(2, 3, 5, 8)
    out = built[1](query)
    assert out.context.shape == (2, 3, 5, 8)
    assert torch.allclose(out.context[1, 2], built[1](query[1, 2]).context)


def test_gradients_reach_every_parameter():
    built = branches()
    with torch.no_grad():
        for branch in built:
            torch.nn.init.normal_(branch.last.weight)
    query = torch.randn(2, 5, 8, requires_grad=True)
    total = 0
    for branch in built:
        out = branch(query)
        total = total + out.delta.sum() + out.sigma.square().sum()
    built.write(query, torch.rand(2, 5, 2), torch.rand(2, 1, 4),
                torch.ones(2, 1, dtype=torch.bool))
    total.backward()
    assert query.grad.abs().sum() > 0
    for name, parameter in built.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_bfloat16_keeps_sigma_in_float32():
    built = branches()
    query = torch.randn(2, 5, 8, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = built[0](query)
    assert out.delta.dtype == torch.bfloat16
    assert out.sigma.dtype == torch.float32
    (out.delta.float().sum() + out.sigma.sum()).backward()
    assert built.memcnp.bank.items.grad.isfinite().all()


def test_what_is_written_by_hand():
    """Query 0 lies in both boxes, 1 in the large one, 2 in none."""
    built = branches(rate=0.)
    reference = torch.tensor([[[.5, .5, .1, .1], [.1, .2, 1, 1],
                               [.95, .95, 1, 1]]])
    boxes = torch.tensor([[[0., 0, .9, .9], [.4, .25, .8, .75],
                           [.9, .9, 1, 1]]])
    valid = torch.tensor([[True, True, False]])
    query = torch.eye(8)[None, :3]
    with torch.no_grad():
        built.memcnp.bank.items.copy_(torch.cat(
            (torch.eye(8)[:6], torch.zeros(6, 4)), 1))
    built.write(query, reference, boxes, valid)
    items = built.memcnp.bank.items
    assert torch.allclose(
        items[:2, 8:],
        memory_target(
            torch.tensor([[.1, .25, .3, .25], [.1, .2, .8, .7]]), (1, 1)))
    assert items[2:, 8:].abs().sum() == 0


def test_eval_and_frames_without_objects_write_nothing():
    built = branches()
    before = built.memcnp.bank.items.detach().clone()
    query, reference = torch.randn(2, 5, 8), torch.rand(2, 5, 2)
    whole = torch.tensor([0., 0, 1, 1]).expand(2, 1, 4)
    built.write(query, reference, torch.zeros(2, 0, 4),
                torch.zeros(2, 0, dtype=torch.bool))
    built.write(query, reference, whole, torch.zeros(2, 1, dtype=torch.bool))
    yes = torch.ones(2, 1, dtype=torch.bool)
    built.eval().write(query, reference, whole, yes)
    assert torch.equal(built.memcnp.bank.items, before)
    built.train().write(query, reference, whole, yes)
    assert not torch.equal(built.memcnp.bank.items, before)


def test_clips_write_the_frames_in_which_objects_are_seen():
    one, two = branches(), branches()
    query, reference = torch.randn(2, 3, 5, 8), torch.rand(2, 3, 5, 2)
    boxes = torch.tensor([.2, .2, .9, .9]).expand(2, 3, 1, 4)
    visible = torch.tensor([[True, False, True], [False, True, True]])
    one.write(query, reference, boxes, visible[..., None])
    two.write(query.flatten(0, 1), reference.flatten(0, 1),
              boxes.flatten(0, 1), visible.reshape(6, 1))
    assert torch.equal(one.memcnp.bank.items, two.memcnp.bank.items)


def test_only_a_bank_can_be_read():
    with pytest.raises(ValueError, match="type='MemCNP'"):
        build_box_branches(2, 8, dict(type='CNP'))


# -- two ranks ------------------------------------------------------------
def _batch():
    generator = torch.Generator().manual_seed(1)
    boxes = torch.tensor([[[.1, .1, .9, .9]], [[.2, 0., 1., .7]]])
    return (torch.randn(2, 7, 8, generator=generator),
            torch.rand(2, 7, 2, generator=generator), boxes,
            torch.tensor([[True], [False]]))


def _write(rank):
    built = branches(rate=0.5)
    # The second rank's image has no object.
    for _ in range(2):
        built.write(*(x[rank:rank + 1] for x in _batch()))
    return built.state_dict()


def test_all_ranks_hold_the_memory_of_all_queries(tmp_path):
    first, second = on_two_ranks(_write, tmp_path)
    single = branches(rate=0.5)
    start = single.memcnp.bank.items.detach().clone()
    for _ in range(2):
        single.write(*_batch())
    key = 'memcnp.bank.items'
    assert torch.equal(first[key], second[key])
    assert torch.allclose(first[key], single.state_dict()[key], atol=1e-6)
    assert not torch.equal(start, first[key])
