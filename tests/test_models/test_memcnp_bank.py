"""Memory bank (eqs 4-7), conventional CNP, box distribution."""
import copy
import math

import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.models.memcnp import (
    CNP,
    MemCNP,
    MemoryBank,
    ReferenceSet,
    distances_to_boxes,
    log_prob,
    memory_distances,
    memory_target,
    merge_settings,
    split_distribution,
    split_key,
)
from tests.fakes.two_ranks import on_two_ranks


def small_bank(**options):
    """Two items, features (1, 0) and (0, 1), zero targets, which stay."""
    bank = MemoryBank(**{'num_items': 2, 'feat_dims': 2, 'hidden_dims': 8,
                         'revive': 0., **options})
    with torch.no_grad():
        bank.items.copy_(torch.tensor([[1., 0, 0, 0, 0, 0],
                                       [0, 1., 0, 0, 0, 0]]))
    return bank.train()


def all_of(z):
    return torch.ones(len(z), dtype=torch.bool)


def write_then_read(bank, z, y, valid=None):
    """As the points of a level do: weighed as before the write."""
    return bank.read(z, bank.write(z, y, all_of(z) if valid is None else
                                   valid))


def test_write_moves_the_winner_to_the_mean_of_what_it_won():
    bank = small_bank(rate=0.5)
    before = bank.items.detach().clone()
    z = torch.tensor([[2., 0], [4., 1.]])  # both closest to item 0
    y = torch.tensor([[1., 0, 0, 0], [0, 0, 0, 1.]])
    bank.write(z, y, all_of(z))
    expected = torch.tensor([2., 0.25, 0.25, 0, 0, 0.25])
    assert torch.allclose(bank.items[0], expected)
    assert torch.equal(bank.items[1], before[1])  # won nothing: bit-identical


def test_released_code_shrinks_items_that_win_nothing():
    bank = small_bank(rate=0.5, decay_unused=True)
    z = torch.tensor([[2., 0]])
    bank.write(z, torch.zeros(1, 4), all_of(z))
    assert torch.allclose(bank.items[1],
                          torch.tensor([0., 0.5, 0, 0, 0, 0]))


def test_only_valid_points_are_written_even_beside_nan():
    bank, other = small_bank(rate=0.9), small_bank(rate=0.9)
    z = torch.tensor([[2., 1.], [float('nan'), 0.], [1., 5.]])
    y = torch.rand(3, 4)
    bank.write(z, y, valid=torch.tensor([True, False, True]))
    other.write(z[[0, 2]], y[[0, 2]], all_of(y[[0, 2]]))
    assert torch.equal(bank.items, other.items)
    unchanged = bank.items.detach().clone()
    bank.write(z, y, valid=torch.zeros(3, dtype=torch.bool))
    assert torch.equal(bank.items, unchanged)


RELEASED = dict(temperature=1., normalize=True)


@pytest.mark.parametrize('options, ratio, first', [
    # cosines 1 and 0, as released; items of length 1
    (RELEASED, math.e, .8),
    # the items as they are
    (dict(temperature=1.), math.e, 4.),
    # a temperature divides the cosines
    (dict(temperature=.5), math.exp(2), 4.),
    # by default at .05
    ({}, math.exp(20), 4.),
    # dot products: 3 * 4 and 0
    (dict(similarity='dot', temperature=10.), math.exp(1.2), 4.),
])
def test_read_by_hand(options, ratio, first):
    """Weights of ratio : 1 for the items (4, 0, 3, 0, 0, 0) and (0, 1, 0, 0,
    0, 0)."""
    bank = small_bank(readout='raw', **options).eval()
    bank.items.data[0] = torch.tensor([4., 0, 3, 0, 0, 0])
    out = bank.read(torch.tensor([[3., 0.]]))
    a = ratio / (ratio + 1)
    assert torch.allclose(out, torch.tensor(
        [[a * first, 1 - a, a * first * 3 / 4, 0, 0, 0]]))


@pytest.mark.parametrize('options, similarities', [
    # (3, 4) of length 5 and the features (2, 0), (0, 1)
    (dict(similarity='dot'), [6., 4.]),
    (dict(similarity='cosine'), [.6, .8]),
])
def test_similarities_by_hand(options, similarities):
    """By dot products the longest item wins, by cosines the nearest; boxes
    do not count."""
    bank = small_bank(**options)
    bank.items.data[0] *= 2
    bank.items.data[:, 2:] = torch.tensor([[0.], [99.]])
    z = torch.tensor([[3., 4.]])
    assert torch.allclose(bank.similarity(z), torch.tensor([similarities]))
    before = bank.items.clone()
    bank.write(z, torch.ones(1, 4), all_of(z))
    winner = max(range(2), key=lambda i: similarities[i])
    assert not torch.equal(bank.items[winner], before[winner])
    assert torch.equal(bank.items[1 - winner], before[1 - winner])


@pytest.mark.parametrize('options', [
    {}, RELEASED, dict(similarity='dot', temperature=2.)])
def test_read_equals_encoding_the_weighted_sum(options):
    bank = MemoryBank(
        num_items=7, feat_dims=5, hidden_dims=6, **options).double()
    z = torch.randn(9, 5, dtype=torch.double)
    scores = bank.similarity(z)
    rows = F.normalize(bank.items, dim=1) if options == RELEASED \
        else bank.items
    summed = (scores / bank.temperature).softmax(1) @ rows
    assert torch.allclose(bank.read(z), bank.mlp(summed))
    # Other weights, other contexts: the scores are not ignored.
    assert not torch.allclose(bank.read(z, -scores), bank.mlp(summed))


def test_items_that_the_moving_average_alone_changes():
    """The same numbers and state dict; a gradient for the read-out alone."""
    banks = []
    for learnable in (True, False):
        torch.manual_seed(0)
        bank = MemoryBank(num_items=4, feat_dims=3, learnable=learnable)
        write_then_read(bank, torch.randn(5, 3),
                        torch.randn(5, 4)).sum().backward()
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
    out = write_then_read(bank, z, torch.zeros(2, 4))
    assert torch.equal(out, bank.read(z, scores))
    assert not torch.allclose(scores, bank.similarity(z))


def test_read_gradient_by_gradcheck():
    bank = MemoryBank(num_items=3, feat_dims=2, hidden_dims=4).double()
    for layer in (bank.mlp.fc1, bank.mlp.fc2):
        torch.nn.init.normal_(layer.weight)
    z = torch.randn(5, 2, dtype=torch.double)
    scores = torch.randn(5, 3, dtype=torch.double)

    def read(items):
        return torch.func.functional_call(_Read(bank), {'bank.items': items},
                                          (z, scores))

    items = bank.items.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(read, (items, ))


class _Read(torch.nn.Module):

    def __init__(self, bank):
        super().__init__()
        self.bank = bank

    def forward(self, z, scores):
        return self.bank.read(z, scores)


def test_several_writes_in_one_graph_have_each_their_own_snapshot():
    bank = MemoryBank(num_items=6, feat_dims=4, rate=0.5,
                      readout='raw', learnable=True).double().train()
    levels = [(torch.randn(n, 4, dtype=torch.double, requires_grad=True),
               torch.randn(n, 4, dtype=torch.double)) for n in (9, 5, 3)]
    weights = [torch.randn(n, 8, dtype=torch.double) for n in (9, 5, 3)]
    expected, total = 0, 0
    for (z, y), weight in zip(levels, weights, strict=True):
        scores = bank.similarity(z)
        total = total + (write_then_read(bank, z, y) * weight).sum()
        rows = bank.items.detach().clone().requires_grad_()
        value = (bank.weights(scores) @ rows * weight).sum()
        expected = expected + torch.autograd.grad(value, rows)[0]
    total.backward()
    assert torch.allclose(bank.items.grad, expected)
    assert all(z.grad is None for z, _ in levels)


def test_top_items_decode_the_boxes_they_hold():
    bank = small_bank()
    with torch.no_grad():
        bank.items[1, 2:] = memory_target(
            torch.tensor([.05, .2, .15, .4]))
    index, scores, ltrb = bank.top_items(torch.tensor([[0.6, 0.8]]), k=2)
    assert index.tolist() == [[1, 0]]
    assert torch.allclose(scores, torch.tensor([[0.8, 0.6]]))
    assert torch.allclose(ltrb[0, 0], torch.tensor([0.05, 0.2, 0.15, 0.4]))


def test_memory_target_and_inverse():
    ltrb = torch.tensor([[0., 0, 1, 1], [.5, .5, .5, .5], [-.25, 1, 0, 0]])
    y = memory_target(ltrb)
    assert y.tolist() == [[-1, -1, 1, 1], [0, 0, 0, 0], [-1.5, 1, -1, -1]]
    assert torch.equal(memory_distances(y), ltrb)


# -- what a host calls -----------------------------------------------------
def host(kind=MemCNP, seed=0, **options):
    torch.manual_seed(seed)
    return kind(**{'num_items': 6, 'feat_dims': 8, **options}).train()


def queries(*lead, seed=1):
    """Queries (..., 7, 8), references, two boxes of a frame, the second of
    which counts in the first frame alone."""
    g = torch.Generator().manual_seed(seed)
    boxes = torch.tensor([[.1, .1, .9, .9], [.2, 0., 1., .7]])
    valid = torch.ones(*lead, 2, dtype=torch.bool)
    valid[1:, ..., 1] = False
    return (torch.randn(*lead, 7, 8, generator=g),
            torch.rand(*lead, 7, 2, generator=g),
            boxes.expand(*lead, 2, 4), valid)


@pytest.mark.parametrize('kind', [MemCNP, CNP])
def test_leading_axes_are_images(kind):
    """Queries of clips (B, T, Q, C), of frames, and of all at once."""
    model, other = host(kind), host(kind)
    args = queries(2, 3)
    out = model.read(args[0])
    assert out.shape == (2, 3, 7, model.out_dims)
    assert torch.allclose(out[1, 2], model.read(args[0][1, 2]))
    model.write(*args)
    other.write(*(x.flatten(0, 1) for x in args))
    for name, value in model.bank.state_dict().items():
        assert torch.equal(value, other.bank.state_dict()[name]), name
    assert not torch.equal(model.read(args[0]), out)


def test_points_of_a_grid_are_shared_by_the_images():
    model, other = host(), host()
    query, reference, boxes, valid = queries(2)
    model.write(query, reference[0], boxes, valid)
    other.write(query, reference[:1].expand(2, -1, -1), boxes, valid)
    assert torch.equal(model.bank.items, other.bank.items)


def test_what_is_written_by_hand():
    """Query 0 lies in both boxes, 1 in the large one, 2 in none, 3 on the
    edge of the large one."""
    model = host(rate=0., revive=0.)
    reference = torch.tensor([[[.5, .5, .1, .1], [.1, .2, 1, 1],
                               [.95, .95, 1, 1], [.9, .9, 1, 1]]])
    boxes = torch.tensor([[[0., 0, .9, .9], [.4, .25, .8, .75],
                           [.9, .9, 1, 1]]])
    valid = torch.tensor([[True, True, False]])
    with torch.no_grad():
        model.bank.items.copy_(torch.cat(
            (torch.eye(8)[:6], torch.zeros(6, 4)), 1))
    model.write(torch.eye(8)[None, :4], reference, boxes, valid)
    items = model.bank.items
    assert torch.allclose(
        items[:2, 8:],
        memory_target(torch.tensor([[.1, .25, .3, .25], [.1, .2, .8, .7]])))
    assert items[2:, 8:].abs().sum() == 0


@pytest.mark.parametrize('kind', [MemCNP, CNP])
def test_eval_and_frames_without_objects_write_nothing(kind):
    model = host(kind)
    before = copy.deepcopy(model.state_dict())

    def unchanged():
        """All but the number of calls."""
        return all(torch.equal(v, before[k])
                   for k, v in model.state_dict().items()
                   if k != 'bank.writes')

    query, reference, boxes, _ = queries(2)
    yes = torch.ones(2, 2, dtype=torch.bool)
    model.write(query, reference, boxes[:, :0], yes[:, :0])
    model.write(query, reference, boxes, ~yes)
    assert unchanged()
    assert model.eval().write(query, reference, boxes, yes) is None
    assert unchanged()
    model.train().write(query, reference, boxes, yes)
    assert not unchanged()


def test_a_read_after_its_write_weighs_as_before_it():
    model = host(rate=0.)
    args = queries(2)
    before = model.bank.similarity(args[0].flatten(0, 1))
    scores = model.write(*args)
    assert torch.equal(scores, before)
    out = model.read(args[0], scores)
    assert torch.equal(out.flatten(0, 1),
                       model.bank.read(args[0].flatten(0, 1), before))
    assert not torch.allclose(out, model.read(args[0]))


def test_parameters_meet_table_1():
    """33,280 items, which are no parameters unless they are trained, and
    132,608 for the encoder."""
    assert MemCNP().bank.items.numel() == 33_280
    assert sum(p.numel() for p in MemCNP().parameters()) == 132_608
    assert sum(p.numel() for p in MemCNP(
        learnable=True).parameters()) == 165_888
    assert sum(p.numel() for p in CNP().parameters()) == 132_608


def test_write_stays_in_float32_under_autocast():
    one, two = (small_bank(rate=0.5, learnable=True) for _ in range(2))
    z, y = torch.randn(6, 2), torch.randn(6, 4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = write_then_read(one, z, y)
    two.write(z, y, all_of(z))
    assert torch.equal(one.items, two.items)
    out.float().sum().backward()
    assert one.items.grad.isfinite().all()


def test_no_points_at_all():
    bank = MemoryBank(num_items=3, feat_dims=2).train()
    before = bank.items.detach().clone()
    out = write_then_read(bank, torch.zeros(0, 2), torch.zeros(0, 4))
    assert out.shape == (0, 2)
    assert torch.equal(bank.items, before)


@pytest.mark.parametrize('options', [
    dict(rate=1.5), dict(readout='max'), dict(similarity='l2'),
    dict(temperature=0.), dict(temperature=-1.)])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MemoryBank(**options)


# -- conventional CNP -----------------------------------------------------
def test_reference_set_fills_once_and_gives_the_mean_context():
    bank = ReferenceSet(num_items=4, feat_dims=3, hidden_dims=5, settle=0)
    z, y = torch.randn(3, 3), torch.randn(3, 4)
    valid = torch.tensor([True, False, True])
    bank.write(z, y, valid)
    out = bank.read(z)
    entries = torch.cat((z, y), 1)[valid]
    assert int(bank.filled) == 2
    assert torch.equal(bank.entries[:2], entries)
    assert torch.allclose(out[0], bank.mlp(entries).mean(0), atol=1e-7)
    assert torch.equal(out[0], out[2])
    z, y = torch.randn(9, 3), torch.randn(9, 4)
    bank.write(z, y, all_of(z))
    full = bank.entries.clone()
    assert int(bank.filled) == 4 and torch.equal(full[:2], entries)
    assert torch.equal(full[2:], torch.cat((z, y), 1)[[0, 4]])
    bank.write(torch.randn(9, 3), torch.randn(9, 4), all_of(z))
    assert torch.equal(bank.entries, full) and int(bank.filled) == 4


@pytest.mark.parametrize('room, valid, taken', [
    (3, '111111111', [0, 3, 6]),  # spread over all
    (3, '010110011', [1, 3, 7]),  # over the valid ones: 1 3 4 7 8
    (5, '001000010', [2, 7]),  # fewer than there is room for
    (2, '000000000', []),  # none
])
def test_reference_set_is_spread_over_the_valid_points(room, valid, taken):
    bank = ReferenceSet(num_items=room, feat_dims=1)
    z = torch.arange(9.)[:, None]
    chosen = torch.tensor([v == '1' for v in valid])
    # What is not valid may be anything.
    bank.write(z.where(chosen[:, None], torch.nan), torch.zeros(9, 4), chosen)
    assert int(bank.filled) == len(taken)
    assert bank.entries[:len(taken), 0].tolist() == taken
    assert not bank.entries[len(taken):].any()


def test_entries_are_taken_anew_until_the_network_has_begun_to_learn():
    """The first three writes; what is missing then is filled up."""
    bank = ReferenceSet(num_items=3, feat_dims=1, settle=3)
    rows = iter(torch.arange(1., 20.))

    def write(num, none=False):
        """Of the points 1, 2, ... the next ones."""
        z = torch.stack([next(rows) for _ in range(num)])[:, None]
        bank.write(z, torch.zeros(num, 4), all_of(z) & (not none))
        return bank.entries[:int(bank.filled), 0].tolist()

    assert write(4) == [1, 2, 3]
    assert write(2, none=True) == [1, 2, 3]  # nothing to take
    assert write(2) == [7, 8]
    assert write(2) == [7, 8, 9]  # settled
    assert write(2) == [7, 8, 9]
    out = bank.read(torch.zeros(1, 1))
    assert torch.allclose(out, bank.mlp(bank.entries).mean(0))


@pytest.mark.parametrize('settle, writes, filled', [
    (0, 1, 4), (0, 3, 5),  # half full and full
    (9, 1, 2),  # taken anew
    (3, 3, 4),  # settled
])
def test_a_resumed_reference_set_goes_on_as_it_would_have(
        settle, writes, filled):
    """What is known of it is in the checkpoint."""
    def step(bank, seed):
        g = torch.Generator().manual_seed(seed)
        bank.write(torch.randn(3, 3, generator=g),
                   torch.randn(3, 4, generator=g),
                   torch.tensor([True, False, True]))

    one, two = (ReferenceSet(num_items=5, feat_dims=3, settle=settle)
                for _ in range(2))
    for seed in range(writes):
        step(one, seed)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for bank in (one, two):
        step(bank, 9)
    assert torch.equal(one.entries, two.entries)
    assert int(one.filled) == int(two.filled) == filled
    assert not set(vars(two)) - set(vars(ReferenceSet(5, 3)))


def test_an_empty_reference_set_gives_zeros():
    out = host(CNP).read(torch.randn(1, 4, 8))
    assert out.shape == (1, 4, 8) and not out.any()


# -- distributed ----------------------------------------------------------
def _write(rank, kind, options):
    model = host(kind, num_items=3, **options)
    # The second rank's image has one object less.
    for _ in range(2):
        model.write(*(x[rank:rank + 1] for x in queries(2)))
    return model.state_dict()


def test_all_ranks_hold_the_memory_of_the_whole_batch(tmp_path):
    first, second = on_two_ranks(_write, tmp_path, MemCNP, dict(revive=0.))
    assert torch.equal(first['bank.items'], second['bank.items'])
    single = host(num_items=3, revive=0.)
    start = single.bank.items.detach().clone()
    for _ in range(2):
        single.write(*queries(2))
    assert torch.allclose(first['bank.items'], single.bank.items, atol=1e-6)
    assert not torch.equal(start, single.bank.items)


def test_all_ranks_hold_the_same_reference_entries(tmp_path):
    first, second = on_two_ranks(_write, tmp_path, CNP, {})
    assert int(first['bank.filled']) == int(second['bank.filled']) == 3
    assert torch.equal(first['bank.entries'], second['bank.entries'])


# -- the key of a host ----------------------------------------------------
DEFAULTS = dict(
    assigner=dict(type='A', topk=5), loss=dict(type='L', rule='gmm'),
    contrast=dict(type='C'))


@pytest.mark.parametrize('given, assigner, contrast', [
    # nothing said: the host's rules
    ({}, dict(type='A', topk=5), dict(type='C')),
    # an option of the default rule
    (dict(assigner=dict(topk=3)), dict(type='A', topk=3), dict(type='C')),
    (dict(assigner=dict(type='A', other=1)), dict(type='A', topk=5, other=1),
     dict(type='C')),
    # another rule keeps nothing of the default
    (dict(assigner=dict(type='B')), dict(type='B'), dict(type='C')),
    # the contrast may be left to the host
    (dict(contrast=None), dict(type='A', topk=5), None),
])
def test_rules_of_the_key_complete_the_defaults(given, assigner, contrast):
    key = split_key(dict(type='MemCNP', num_items=3, training=given,
                         tracker=dict(a=1)), **DEFAULTS)
    assert key.module == dict(type='MemCNP', num_items=3)
    assert key.training == dict(
        assigner=assigner, loss=DEFAULTS['loss'], contrast=contrast)
    assert key.tracker == dict(a=1)
    built = key.build(feat_dims=9)
    assert isinstance(built, MemCNP) and built.bank.items.shape == (3, 13)


@pytest.mark.parametrize('training, words', [
    (dict(loss_cnp=dict()), "no 'loss_cnp': it may hold assigner, loss"),
    (dict(loss=None), 'memcnp.training.loss is None'),
])
def test_bad_keys_are_named(training, words):
    with pytest.raises(ValueError, match=words):
        split_key(dict(type='MemCNP', training=training), **DEFAULTS)


def test_settings_are_merged_in_depth():
    base = dict(a=dict(x=1, y=2), b=1)
    assert merge_settings(base, dict(a=dict(x=3)), dict(b=dict(z=1))) == dict(
        a=dict(x=3, y=2), b=dict(z=1))
    assert base == dict(a=dict(x=1, y=2), b=1)


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


@pytest.mark.parametrize('limits, box', [
    ([1., 1, 1, 1], [0.125, 0, 0.5, 1]),
    # a frame that is wider and lower than the unit
    ([2., .75, 2, .75], [0.125, 0, 0.5, .75]),
    ([.375, 2., .375, 2.], [0.125, 0, .375, 1.25]),
])
def test_boxes_are_clamped_to_the_frame(limits, box):
    boxes = distances_to_boxes(
        torch.tensor([[0.25, 0.5]]), torch.tensor([[0.125, 0.75, 0.25, 0.75]]),
        torch.tensor(limits))
    assert boxes.tolist() == [box]


def test_log_prob_is_that_of_torch():
    from torch.distributions import Independent, Normal
    mu, sigma, box = torch.rand(3, 5, 4).double().unbind(0)
    expected = Independent(Normal(mu, sigma + 0.1), 1).log_prob(box)
    assert torch.allclose(log_prob(box, mu, sigma + 0.1), expected)
