"""Which items of the memory are used: revival, and how many a point reads."""
import copy

import pytest
import torch

from mmvis_memcnp.models.memcnp import MemoryBank
from mmvis_memcnp.models.memcnp.bank import ContextMLP
from tests.fakes.two_ranks import on_two_ranks


def bank_of(num_items=4, seed=0, **options):
    torch.manual_seed(seed)
    return MemoryBank(**{'num_items': num_items, 'feat_dims': 4,
                         **options}).train()


def pairs(num=9, seed=1, feat_dims=4):
    """Features and targets of points, all to be written."""
    g = torch.Generator().manual_seed(seed)
    return (torch.randn(num, feat_dims, generator=g),
            torch.randn(num, 4, generator=g),
            torch.ones(num, dtype=torch.bool))


def axes(*which):
    """Points on axes of the feature space, their axis as the target."""
    index = torch.tensor(which)
    z = torch.eye(4)[index]
    return z, index[:, None].expand(-1, 4).float(), index >= 0


# -- revival --------------------------------------------------------------
@pytest.mark.parametrize('room, valid, taken', [
    (3, '111111111', [0, 3, 6]),  # spread over all
    (3, '010110011', [1, 3, 7]),  # over the written ones: 1 3 4 7 8
    (9, '111111111', list(range(9))),  # each once
    (5, '001000010', [2, 2, 2, 7, 7]),  # fewer than items
])
def test_the_first_write_puts_all_items_on_written_points(
        room, valid, taken):
    bank = bank_of(room)
    z, y, _ = pairs()
    chosen = torch.tensor([v == '1' for v in valid])
    # What is not written may be anything.
    bank.write(z.where(chosen[:, None], torch.nan), y, chosen)
    assert torch.equal(bank.items, torch.cat((z, y), 1)[taken])
    assert torch.equal(bank.usage, torch.full((room, ), 1 / room))


def test_nothing_written_moves_nothing():
    """Before the first write and after it."""
    bank = bank_of()
    z, y, valid = pairs()
    for args in ((z, y, ~valid), (z[:0], y[:0], valid[:0])):
        before = copy.deepcopy(bank.state_dict())
        bank.write(*args)
        for name, value in bank.state_dict().items():
            assert torch.equal(value, before[name]), name
        bank.write(z, y, valid)


def test_an_item_that_wins_nothing_for_long_moves():
    """Item 3 starts with a fair share of 1/4, halved by each write that it
    wins nothing of: .0156 after four, less than a tenth of a fair share."""
    bank = bank_of(rate=.5, revive=.1)
    bank.write(*axes(0, 1, 2, 3))
    start = bank.items.clone()
    assert torch.equal(start[:, :4], torch.eye(4))
    for n in range(1, 5):
        bank.write(*axes(0, 1, 1, 2))
        assert torch.equal(bank.items, start), n
        assert bank.usage[3] == .25 * .5**n
    bank.write(*axes(0, 1, 1, 2))
    assert torch.equal(bank.items[3], start[0])  # the first written point
    assert torch.equal(bank.items[:3], start[:3])
    assert bank.usage[3] == .25  # a fair share again: it may stay for a while
    assert bank.usage[:3].tolist() == pytest.approx([.25, .492, .25], abs=.01)


def test_an_item_that_wins_seldom_stays():
    """One point in thirty of four items: .13 of a fair share."""
    bank = bank_of(rate=.9, revive=.1)
    bank.write(*axes(0, 1, 2, 3))
    z, y, valid = axes(*([0, 1, 2] * 10)[:-1], 3)
    y = y.clone()
    y[-1] = 7.
    for _ in range(100):
        bank.write(z, y, valid)
    assert bank.usage[3].item() == pytest.approx(1 / 30, rel=1e-2)
    # by the moving average alone: it has not been put on a point
    assert bank.items[3, 4].item() == pytest.approx(
        7 - 4 * .9**100, abs=1e-4)
    assert bank.items[3, 4] != 7


def test_a_revived_item_says_what_is_near_the_points():
    """Items that start far from all features win next to nothing; revived,
    nearly all win, and the box of the best item is nearer."""
    def run(revive):
        bank = bank_of(16, feat_dims=8, rate=.99, revive=revive)
        for step in range(30):
            write(bank, step)
        z, y, _ = write(bank, 99)
        winner = bank.similarity(z).argmax(1)
        error = (bank.items[winner, 8:] - y).abs().mean()
        return len(winner.unique()), float(error)

    def write(bank, seed):
        g = torch.Generator().manual_seed(seed)
        # All features share a large part; the rest tells the box.
        y = torch.rand(60, 4, generator=g) * 2 - 1
        args = (torch.cat((y, 5 + torch.zeros(60, 4)), 1), y,
                torch.ones(60, dtype=torch.bool))
        bank.write(*args)
        return args

    won, error = run(.1)
    won_without, error_without = run(0.)
    assert won >= 14 and won_without <= 5
    assert error < .8 * error_without


def test_without_revival_there_is_no_buffer_and_eq_5_alone():
    bank = bank_of(revive=0., rate=.5)
    assert bank.usage is None
    assert set(bank.state_dict()) == set(bank_of().state_dict()) - {'usage'}
    before = bank.items.clone()
    z, y, valid = pairs(1)
    for n in range(1, 20):
        scores = bank.write(z, y, valid)
        winner = scores[0].argmax()
        expected = before.clone()
        expected[winner] = torch.cat((z, y), 1)[0] + .5**n * (
            before[winner] - torch.cat((z, y), 1)[0])
        assert torch.allclose(bank.items, expected, atol=1e-6)
        others = torch.arange(4) != winner
        assert torch.equal(bank.items[others], before[others])


def test_both_kinds_of_items_are_revived():
    """Of a parameter as well, without a trace in its gradient."""
    banks = [bank_of(learnable=x) for x in (False, True)]
    for bank in banks:
        bank.write(*pairs())
        bank.read(pairs(seed=2)[0]).sum().backward()
    assert torch.equal(banks[0].items, banks[1].items)
    assert banks[1].items.grad.abs().sum() > 0


@pytest.mark.parametrize('writes', [1, 5])
def test_a_resumed_memory_goes_on_as_it_would_have(writes):
    """Also what was about to be revived is: usage is in the checkpoint."""
    one, two = (bank_of(8, seed=seed, rate=.5) for seed in (0, 1))
    for seed in range(writes):
        one.write(*pairs(seed=seed))
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    forgot = bank_of(8, seed=1, rate=.5)
    forgot.load_state_dict({**one.state_dict(),
                            'usage': torch.zeros(8)})
    for seed in range(10, 16):
        for bank in (one, two, forgot):
            bank.write(*pairs(seed=seed))
    assert torch.equal(one.items, two.items)
    assert torch.equal(one.usage, two.usage)
    assert not torch.equal(one.items, forgot.items)


def _two_ranks(rank, valid):
    """Writes of two ranks; ``valid`` is what they may write, write by
    write."""
    bank = bank_of(6, rate=.5)
    for step, ranks in enumerate(valid):
        z, y, chosen = pairs(seed=10 * step + rank)
        chosen &= torch.tensor(ranks[rank])
        bank.write(z.where(chosen[:, None], torch.nan), y, chosen)
    return bank.state_dict()


def test_ranks_hold_the_same_items_and_usage(tmp_path):
    """Also where one of them has no point; seeds are points of the first."""
    first, second = on_two_ranks(
        _two_ranks, tmp_path, [(True, False), (True, True), (False, True),
                               (True, True), (False, False), (True, True)])
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert all(v.isfinite().all() for v in first.values())
    assert first['usage'].sum() == pytest.approx(1, abs=.5)


def test_seeds_are_points_of_the_first_rank(tmp_path):
    first, second = on_two_ranks(_two_ranks, tmp_path, [(True, True)])
    z, y, _ = pairs(seed=0)
    expected = torch.cat((z, y), 1)[[0, 1, 3, 4, 6, 7]]
    for state in (first, second):
        assert torch.equal(state['items'], expected)


# -- how many items a point reads -----------------------------------------
def effective_items(bank, z):
    """The exponential of the entropy of the weights, mean of the points."""
    weights = bank.weights(bank.similarity(z))
    assert torch.allclose(weights.sum(1), torch.ones(len(z)))
    entropy = -(weights * weights.clamp(min=1e-12).log()).sum(1)
    return entropy.exp().mean().item()


def test_a_lower_temperature_reads_fewer_items():
    z = pairs(50, feat_dims=16)[0]
    found = [effective_items(bank_of(64, feat_dims=16, temperature=t), z)
             for t in (100., 1., .2, .1, .05, .02, 1e-4)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(64, abs=.01)
    assert found[1] > .95 * 64  # as released: nearly all of them
    assert found[-1] == pytest.approx(1, abs=.01)
    # by default a few
    default = effective_items(bank_of(64, feat_dims=16), z)
    assert default == found[4] and 1.5 < default < 32


@pytest.mark.parametrize('options, least, most', [
    ({}, .3, 1.),
    # as released: a constant, next to its length
    (dict(temperature=1., normalize=True), 0., .05),
])
def test_what_is_read_differs_from_point_to_point(options, least, most):
    """Of features that share a part."""
    bank = bank_of(64, feat_dims=16, readout='raw', **options)
    (z, y, valid), (other, *_) = (
        pairs(64, seed, feat_dims=16) for seed in (1, 2))
    bank.write(z + 1, y, valid)
    context = bank.read(other + 1)
    spread = (context - context.mean(0)).norm() / context.norm()
    assert least < spread < most


def test_the_encoder_starts_at_the_scale_of_what_it_reads():
    """A context that is small at first would be learnt last."""
    torch.manual_seed(0)
    mlp = ContextMLP(260, 256)
    for layer in (mlp.fc1, mlp.fc2):
        weight = layer.weight.detach()
        bound = (6 / sum(weight.shape))**.5
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**.5, rel=.02)
        assert not layer.bias.any()
    assert .2 < mlp(torch.randn(100, 260)).std() < 1
