"""Memory bank (eqs 4-7), conventional CNP, box distribution."""
import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from mmvis_memcnp.models.memcnp import (
    CNP,
    MemCNP,
    MemoryBank,
    ReferenceSet,
    distances_to_boxes,
    log_prob,
    memory_distances,
    memory_target,
    split_distribution,
)
from tests.fakes.two_ranks import on_two_ranks


def small_bank(**options):
    """Two items, features (1, 0) and (0, 1), zero targets."""
    bank = MemoryBank(num_items=2, feat_dims=2, hidden_dims=8, **options)
    with torch.no_grad():
        bank.items.copy_(torch.tensor([[1., 0, 0, 0, 0, 0],
                                       [0, 1., 0, 0, 0, 0]]))
    return bank.train()


def test_write_moves_the_winner_to_the_mean_of_what_it_won():
    bank = small_bank(rate=0.5)
    before = bank.items.detach().clone()
    z = torch.tensor([[2., 0], [4., 1.]])  # both closest to item 0
    y = torch.tensor([[1., 0, 0, 0], [0, 0, 0, 1.]])
    bank.write(z, y)
    expected = torch.tensor([2., 0.25, 0.25, 0, 0, 0.25])
    assert torch.allclose(bank.items[0], expected)
    assert torch.equal(bank.items[1], before[1])  # won nothing: bit-identical


def test_released_code_shrinks_items_that_win_nothing():
    bank = small_bank(rate=0.5, decay_unused=True)
    bank.write(torch.tensor([[2., 0]]), torch.zeros(1, 4))
    assert torch.allclose(bank.items[1],
                          torch.tensor([0., 0.5, 0, 0, 0, 0]))


def test_only_valid_points_are_written_even_beside_nan():
    bank, other = small_bank(rate=0.9), small_bank(rate=0.9)
    z = torch.tensor([[2., 1.], [float('nan'), 0.], [1., 5.]])
    y = torch.rand(3, 4)
    bank.write(z, y, valid=torch.tensor([True, False, True]))
    other.write(z[[0, 2]], y[[0, 2]])
    assert torch.equal(bank.items, other.items)
    unchanged = bank.items.detach().clone()
    bank.write(z, y, valid=torch.zeros(3, dtype=torch.bool))
    assert torch.equal(bank.items, unchanged)


def test_read_by_hand():
    bank = small_bank(readout='raw').eval()
    out = bank(torch.tensor([[3., 0.]]))  # cosines 1 and 0
    a = math.e / (math.e + 1)
    assert torch.allclose(out, torch.tensor([[a, 1 - a, 0, 0, 0, 0]]))


def test_read_equals_encoding_the_weighted_sum():
    bank = MemoryBank(num_items=7, feat_dims=5, hidden_dims=6).double()
    scores = bank.similarity(torch.randn(9, 5, dtype=torch.double))
    summed = scores.softmax(1) @ F.normalize(bank.items, dim=1)
    assert torch.allclose(bank.read(scores), bank.mlp(summed))


def test_eval_and_calls_without_targets_write_nothing():
    bank = MemoryBank(num_items=4, feat_dims=3)
    before = bank.items.detach().clone()
    z, y = torch.randn(5, 3), torch.randn(5, 4)
    bank.train()(z)
    bank.eval()(z, y)
    assert torch.equal(bank.items, before)
    bank.train()(z, y)
    assert not torch.equal(bank.items, before)


def test_items_that_the_moving_average_alone_changes():
    """The same numbers and state dict; a gradient for the read-out alone."""
    banks = []
    for learnable in (True, False):
        torch.manual_seed(0)
        bank = MemoryBank(num_items=4, feat_dims=3, learnable=learnable)
        bank(torch.randn(5, 3), torch.randn(5, 4)).sum().backward()
        banks.append(bank)
    one, other = banks
    assert one.state_dict().keys() == other.state_dict().keys()
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert set(dict(one.named_parameters())) - set(
        dict(other.named_parameters())) == {'items'}
    assert torch.equal(one.mlp.fc1.weight.grad, other.mlp.fc1.weight.grad)
    assert one.items.grad.any() and other.items.grad is None


def test_similarities_are_those_before_the_write():
    bank = small_bank(rate=0., readout='raw')
    z = torch.tensor([[1., 1.], [3., 1.]])
    scores = bank.similarity(z)
    out = bank(z, torch.zeros(2, 4))
    assert torch.equal(out, bank.read(scores))
    assert not torch.allclose(scores, bank.similarity(z))


def test_read_gradient_by_gradcheck():
    bank = MemoryBank(num_items=3, feat_dims=2, hidden_dims=4).double()
    for layer in (bank.mlp.fc1, bank.mlp.fc2):
        torch.nn.init.normal_(layer.weight)
    scores = torch.randn(5, 3, dtype=torch.double)

    def read(items):
        return torch.func.functional_call(_Read(bank), {'bank.items': items},
                                          (scores, ))

    items = bank.items.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(read, (items, ))


class _Read(torch.nn.Module):

    def __init__(self, bank):
        super().__init__()
        self.bank = bank

    def forward(self, scores):
        return self.bank.read(scores)


def test_several_writes_in_one_graph_have_each_their_own_snapshot():
    bank = MemoryBank(num_items=6, feat_dims=4, rate=0.5,
                      readout='raw').double().train()
    levels = [(torch.randn(n, 4, dtype=torch.double, requires_grad=True),
               torch.randn(n, 4, dtype=torch.double)) for n in (9, 5, 3)]
    weights = [torch.randn(n, 8, dtype=torch.double) for n in (9, 5, 3)]
    expected, total = 0, 0
    for (z, y), weight in zip(levels, weights, strict=True):
        scores = bank.similarity(z)
        total = total + (bank(z, y) * weight).sum()
        rows = bank.items.detach().clone().requires_grad_()
        value = (scores.softmax(1) @ F.normalize(rows, dim=1) * weight).sum()
        expected = expected + torch.autograd.grad(value, rows)[0]
    total.backward()
    assert torch.allclose(bank.items.grad, expected)
    assert all(z.grad is None for z, _ in levels)


def test_top_items_decode_the_boxes_they_hold():
    bank = small_bank()
    with torch.no_grad():
        bank.items[1, 2:] = memory_target(
            torch.tensor([10., 20., 30., 40.]), (100, 200))
    index, scores, ltrb = bank.top_items(torch.tensor([[0.6, 0.8]]), k=2)
    assert index.tolist() == [[1, 0]]
    assert torch.allclose(scores, torch.tensor([[0.8, 0.6]]))
    assert torch.allclose(ltrb[0, 0], torch.tensor([0.05, 0.2, 0.15, 0.4]))


def test_memory_target_and_inverse():
    ltrb = torch.tensor([[0., 0, 200, 100], [100, 50, 100, 50]])
    y = memory_target(ltrb, (100, 200))
    assert y.tolist() == [[-1, -1, 1, 1], [0, 0, 0, 0]]
    assert torch.allclose(memory_distances(y, (100, 200)), ltrb)


def test_maps_and_queries_go_through_the_same_bank():
    model = MODELS.build(dict(type='MemCNP', num_items=8, feat_dims=5)).eval()
    maps = torch.randn(2, 5, 3, 4)
    queries = maps.flatten(2).transpose(1, 2)
    points = queries.reshape(-1, 5)
    from_map, from_points = model(maps), model(points)
    assert from_map.shape == (2, model.out_dims, 3, 4)
    assert torch.allclose(from_map.flatten(2).transpose(1, 2),
                          model(queries))
    assert torch.allclose(model(queries).flatten(0, 1), from_points)


def test_map_and_points_write_the_same():
    maps, y = torch.randn(2, 5, 3, 4), torch.randn(2, 4, 3, 4)
    valid = torch.rand(2, 3, 4) > 0.5
    one = MemCNP(8, 5).train()
    two = MemCNP(8, 5).train()
    two.load_state_dict(one.state_dict())
    one(maps, y, valid)
    two(maps.permute(0, 2, 3, 1).reshape(-1, 5),
        y.permute(0, 2, 3, 1).reshape(-1, 4), valid.flatten())
    assert torch.equal(one.bank.items, two.bank.items)


def test_parameters_meet_table_1():
    """33,280 items and 132,608 for the encoder."""
    assert sum(p.numel() for p in MemCNP().parameters()) == 165_888
    assert sum(p.numel() for p in CNP().parameters()) == 132_608


def test_write_stays_in_float32_under_autocast():
    one, two = small_bank(rate=0.5), small_bank(rate=0.5)
    z, y = torch.randn(6, 2), torch.randn(6, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = one(z, y)
    two(z, y)
    assert torch.equal(one.items, two.items)
    out.float().sum().backward()
    assert one.items.grad.isfinite().all()


def test_no_points_at_all():
    bank = MemoryBank(num_items=3, feat_dims=2).train()
    before = bank.items.detach().clone()
    assert bank(torch.zeros(0, 2), torch.zeros(0, 4)).shape == (0, 256)
    assert torch.equal(bank.items, before)


@pytest.mark.parametrize('options', [dict(rate=1.5), dict(readout='max')])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MemoryBank(**options)


# -- conventional CNP -----------------------------------------------------
def test_reference_set_fills_once_and_gives_the_mean_context():
    model = CNP(num_items=4, feat_dims=3, hidden_dims=5).train()
    z, y = torch.randn(3, 3), torch.randn(3, 4)
    valid = torch.tensor([True, False, True])
    out = model(z, y, valid)
    entries = torch.cat((z, y), 1)[valid]
    assert int(model.bank.filled) == 2
    assert torch.equal(model.bank.entries[:2], entries)
    assert torch.allclose(out[0], model.bank.mlp(entries).mean(0), atol=1e-7)
    assert torch.equal(out[0], out[2])
    model(torch.randn(9, 3), torch.randn(9, 4))
    full = model.bank.entries.clone()
    assert int(model.bank.filled) == 4 and torch.equal(full[:2], entries)
    model(torch.randn(9, 3), torch.randn(9, 4))
    assert torch.equal(model.bank.entries, full)


def test_reference_set_is_spread_over_the_points():
    bank = ReferenceSet(num_items=3, feat_dims=1).train()
    z = torch.arange(9.)[:, None]
    bank(z, torch.zeros(9, 4))
    assert bank.entries[:, 0].tolist() == [0, 3, 6]


def test_reference_set_survives_a_checkpoint():
    one = CNP(num_items=2, feat_dims=3).train()
    one(torch.randn(5, 3), torch.randn(5, 4))
    two = CNP(num_items=2, feat_dims=3).train()
    two.load_state_dict(one.state_dict())
    two(torch.randn(5, 3), torch.randn(5, 4))
    assert torch.equal(one.bank.entries, two.bank.entries)


def test_empty_reference_set_gives_zeros_and_eval_does_not_fill():
    model = CNP(num_items=2, feat_dims=3).eval()
    out = model(torch.randn(1, 3, 2, 2), torch.randn(1, 4, 2, 2))
    assert out.shape == (1, 256, 2, 2) and not out.any()
    assert int(model.bank.filled) == 0


# -- distributed ----------------------------------------------------------
def _write(rank, kind):
    model = _distributed_model(kind)
    z, y, valid = _distributed_batch()
    part = slice(0, 4) if rank == 0 else slice(4, 10)
    for _ in range(2):
        model(z[part], y[part], valid[part])
    return model.state_dict()


def _distributed_model(kind):
    torch.manual_seed(0)
    return kind(num_items=3, feat_dims=2).train()


def _distributed_batch():
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(10, 2, generator=generator)
    y = torch.randn(10, 4, generator=generator)
    return z, y, torch.arange(10) % 3 > 0


def test_all_ranks_hold_the_memory_of_the_whole_batch(tmp_path):
    first, second = on_two_ranks(_write, tmp_path, MemCNP)
    assert torch.equal(first['bank.items'], second['bank.items'])
    single = _distributed_model(MemCNP)
    start = single.bank.items.detach().clone()
    for _ in range(2):
        single(*_distributed_batch())
    assert torch.allclose(first['bank.items'], single.bank.items, atol=1e-6)
    assert not torch.equal(start, single.bank.items)


def test_all_ranks_hold_the_same_reference_entries(tmp_path):
    first, second = on_two_ranks(_write, tmp_path, CNP)
    assert int(first['bank.filled']) == int(second['bank.filled']) == 3
    assert torch.equal(first['bank.entries'], second['bank.entries'])


# -- distribution ---------------------------------------------------------
def test_sigma_by_hand():
    mu, sigma = split_distribution(torch.tensor([1., 2, 3, 4, 0, -99, 1, 50]))
    assert mu.tolist() == [1, 2, 3, 4]
    expected = [
        0.1 + 0.9 * math.log(2), 0.1, 0.1 + 0.9 * math.log1p(math.e), 45.1
    ]
    assert torch.allclose(sigma, torch.tensor(expected))
    with pytest.raises(ValueError, match='8 channels'):
        split_distribution(torch.zeros(3, 4))


def test_sigma_of_half_precision_is_float32():
    raw = torch.zeros(2, 8, dtype=torch.half)
    assert split_distribution(raw)[1].dtype == torch.float32


def test_boxes_are_clamped_to_the_frame():
    boxes = distances_to_boxes(
        torch.tensor([[0.25, 0.5]]), torch.tensor([[0.125, 0.75, 0.25, 0.75]]))
    assert boxes.tolist() == [[0.125, 0, 0.5, 1]]


def test_log_prob_is_that_of_torch():
    from torch.distributions import Independent, Normal
    mu, sigma, box = torch.rand(3, 5, 4).double().unbind(0)
    expected = Independent(Normal(mu, sigma + 0.1), 1).log_prob(box)
    assert torch.allclose(log_prob(box, mu, sigma + 0.1), expected)
