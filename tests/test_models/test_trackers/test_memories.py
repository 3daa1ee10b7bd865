"""Memories: what each remembers, and what all of them promise."""
import copy
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.models.trackers import (
    LatestMemory,
    MomentumMemory,
    OccupancyMemory,
    SimilarityMemory,
    WindowMemory,
)

ALL = {
    'latest': LatestMemory(),
    'momentum': MomentumMemory(.75),
    'occupancy': OccupancyMemory(),
    'similarity': SimilarityMemory(length=2),
    'similarity to itself': SimilarityMemory(length=0),
    'window': WindowMemory(length=2),
    'window, unit length': WindowMemory(length=2, normalize=True),
}
every = pytest.mark.parametrize('memory', ALL.values(), ids=ALL.keys())


def noise(*shape, seed=0, **options):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, **options)


def frames(batch=2, count=3, length=4, seed=0, **options):
    """T frames of (embeds, rows, weight); some objects are absent."""
    g = torch.Generator().manual_seed(seed + 1)
    for t in range(length):
        embeds = noise(batch, count, 5, seed=seed + 10 * t, **options)
        order = torch.stack([torch.randperm(count, generator=g)
                             for _ in range(batch)])
        absent = torch.rand(batch, count, generator=g) < .3
        weight = torch.rand(batch, count, generator=g, dtype=embeds.dtype)
        yield embeds, order.masked_fill(absent, -1), weight


def follow(memory, sequence, state=None, size=None):
    state = memory.start() if state is None else state
    for embeds, rows, weight in sequence:
        state = memory.write(state, embeds, rows, weight, size)
    return state


def same(one, two):
    return all(torch.equal(getattr(one, f.name), getattr(two, f.name))
               for f in fields(one))


X, Y, U = (1., 0.), (0., 1.), (.6, .8)


@pytest.mark.parametrize('memory, seen, expected', [
    # the last one, whatever its weight
    (LatestMemory(), [(X, .9), (Y, .1)], Y),
    # the first is taken as it is, not mixed with zeros
    (MomentumMemory(.75), [(U, .1)], U),
    (MomentumMemory(.75), [(X, .1), (Y, .1)], (.75, .25)),
    (MomentumMemory(.75), [(X, 1.), (Y, 1.), (Y, 1.)], (.5625, .4375)),
    # momentum 0 is the latest
    (MomentumMemory(0.), [(X, 1.), (U, 1.)], U),
    # the first whole, even where nothing seems to be there
    (OccupancyMemory(), [(U, .2)], U),
    (OccupancyMemory(), [(X, .5), (Y, .25)], (.75, .25)),
    # a frame without the object leaves what is remembered
    (OccupancyMemory(), [(X, .5), (Y, 0.)], X),
    # orthogonal to all before: nothing changes
    (SimilarityMemory(3), [(X, 1.), (Y, 1.)], X),
    # cosine .6 with the one before
    (SimilarityMemory(3), [(X, 1.), (U, 1.)], (.4 + .36, .48)),
    # length does not matter for the cosine, but for what is remembered
    (SimilarityMemory(3), [((2., 0.), 1.), (U, 1.)], (.8 + .36, .48)),
    # the mean of 1 and .6 where X and U came before
    (SimilarityMemory(3), [(X, 1.), (U, 1.), (X, 1.)],
     (.2 * .76 + .8, .2 * .48)),
    # only the last counts where one is kept: cosine .6 with U
    (SimilarityMemory(1), [(X, 1.), (U, 1.), (X, 1.)],
     (.4 * .76 + .6, .4 * .48)),
    # opposite to what came before: at least 0, it does not move away
    (SimilarityMemory(3), [(X, 1.), ((-1., 0.), 1.)], X),
    # but with itself it does: cosine -.6, 1.6 of X less .6 of (-.6, .8)
    (SimilarityMemory(0), [(X, 1.), ((-.6, .8), 1.)], (1.6 + .36, -.48)),
    # with itself: (.76, .48) / .8988 . X
    (SimilarityMemory(0), [(X, 1.), (U, 1.), (X, 1.)],
     ((1 - .845489) * .76 + .845489, (1 - .845489) * .48)),
    # weights score + t / n: 1.5 for the first, 1.25 for the second
    (WindowMemory(2), [(X, 1.), (Y, .25)], (1.5 / 2.75, 1.25 / 2.75)),
    # the oldest leaves: X .5 + .5, Y 1 + 1
    (WindowMemory(2), [(U, 1.), (X, .5), (Y, 1.)], (1 / 3, 2 / 3)),
    # lengths count only where they are kept
    (WindowMemory(2), [((3., 0.), .5), (Y, 0.)], (1.5, .5)),
    (WindowMemory(2, True), [((3., 0.), .5), (Y, 0.)], (.5, .5)),
])
def test_what_is_remembered(memory, seen, expected):
    state = memory.start()
    for value, weight in seen:
        state = memory.write(state, torch.tensor([[value]]),
                             weight=torch.tensor([[weight]]))
    assert memory.read(state)[0, 0].tolist() == pytest.approx(
        list(expected), abs=1e-5)
    assert state.count.tolist() == [[len(seen)]]


@every
def test_rows_say_which_object_is_meant(memory):
    embeds = noise(1, 3, 5)
    state = memory.write(memory.start(), embeds,
                         torch.tensor([[2, -1, 0]]))
    read = memory.read(state)[0]
    if getattr(memory, 'normalize', False):
        embeds = F.normalize(embeds, dim=-1)
    assert torch.allclose(read[[2, 0]], embeds[0, [0, 2]])
    assert read[1].count_nonzero() == 0  # never written
    assert state.count.tolist() == [[1, 0, 1]]


@every
def test_what_is_absent_stays(memory):
    state = follow(memory, frames())
    later = memory.write(state, torch.full((2, 3, 5), torch.nan),
                         torch.full((2, 3), -1))
    assert same(state, later)
    none = memory.write(state, torch.zeros(2, 0, 5),
                        torch.zeros(2, 0, dtype=torch.long))
    assert same(state, none)


@every
def test_a_state_is_a_value(memory):
    sequence = list(frames(length=5))
    before = follow(memory, sequence[:3])
    kept = copy.deepcopy(before)
    after = follow(memory, sequence[3:], before)
    assert same(before, kept) and not same(before, after)
    assert same(after, follow(memory, sequence[3:], kept))


@every
def test_the_order_of_a_frame_does_not_matter(memory):
    shuffled = [(e[:, [2, 0, 1]], r[:, [2, 0, 1]], w[:, [2, 0, 1]])
                for e, r, w in frames()]
    assert same(follow(memory, frames()), follow(memory, shuffled))


@every
def test_objects_do_not_influence_each_other(memory):
    """Objects in another order, or alone, are remembered as before."""
    state = follow(memory, frames())
    new = torch.tensor([1, 2, 0, -1])  # the last is for -1
    moved = follow(memory, [(e, new[r], w) for e, r, w in frames()], size=3)
    assert same(state.take(torch.tensor([2, 0, 1])), moved)
    alone = follow(memory, [(e, torch.where(r == 1, 0, -1), w)
                            for e, r, w in frames()], size=1)
    assert same(state.take(torch.tensor([1])), alone)


@every
def test_videos_of_a_batch_are_as_alone(memory):
    both = follow(memory, frames(batch=2))
    for b in range(2):
        one = follow(memory, [(e[b:b + 1], r[b:b + 1], w[b:b + 1])
                              for e, r, w in frames(batch=2)])
        for f in fields(one):
            assert torch.allclose(getattr(one, f.name)[0],
                                  getattr(both, f.name)[b])


@every
def test_objects_start_later(memory):
    """What comes in frame 3 is remembered as if the video began there."""
    state = follow(memory, frames(count=2))
    later = [(e, r.where(r < 0, r + 2), w)
             for e, r, w in frames(count=3, seed=7)]
    grown = follow(memory, later, state, size=5)
    assert len(grown) == 5
    assert same(grown.take(torch.arange(2)), state)
    assert same(grown.take(torch.arange(2, 5)),
                follow(memory, frames(count=3, seed=7)))


@every
def test_gradients_reach_every_frame(memory):
    """Finite differences agree, through three frames and an absence."""
    embeds = noise(3, 1, 2, 4, dtype=torch.float64).requires_grad_()
    weight = torch.rand(3, 1, 2, dtype=torch.float64).requires_grad_()
    rows = torch.tensor([[[0, 1]], [[1, -1]], [[0, 1]]])

    def read(embeds, weight):
        state = memory.start()
        for e, r, w in zip(embeds, rows, weight, strict=True):
            state = memory.write(state, e, r, w)
        return memory.read(state)

    assert torch.autograd.gradcheck(read, (embeds, weight))
    out = read(embeds, weight)
    out.sum().backward()
    assert embeds.grad[1, 0, 1].count_nonzero() == 0  # it was absent
    assert embeds.grad[2].count_nonzero() > 0


@every
def test_nothing_waits_for_the_device(memory):
    """Tensors without values: whatever looks at one raises."""
    state = memory.start()
    for count in (3, 5):
        embeds = torch.empty(2, 4, 6, device='meta')
        rows = torch.empty(2, 4, dtype=torch.long, device='meta')
        state = memory.write(state, embeds, rows, embeds[..., 0], size=count)
    assert memory.read(state).shape == (2, 5, 6)


@every
def test_half_precision_is_kept_in_float32(memory):
    """Under autocast, and with bfloat16 embeddings."""
    sequence = [(e.bfloat16(), r, w) for e, r, w in frames()]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        state = follow(memory, sequence)
    plain = follow(memory, [(e.float(), r, w) for e, r, w in sequence])
    assert memory.read(state).dtype == torch.float32
    assert same(state, plain)


def test_similarity_is_the_loop_of_the_paper():
    """Eqs 1 and 2 of CTVIS, one instance and one frame after the other."""
    memory, state = SimilarityMemory(length=10), None
    sequence = list(frames(batch=1, count=4, length=8))
    for e, _, _ in sequence:
        e += 1.  # alike on the whole
    earlier: list = [[] for _ in range(4)]
    average: list = [None] * 4
    state = memory.start()
    for embeds, rows, _ in sequence:
        state = memory.write(state, embeds, rows)
        for value, n in zip(embeds[0], rows[0].tolist(), strict=True):
            if n < 0:
                continue
            if earlier[n]:
                cosines = [F.cosine_similarity(old, value, dim=0)
                           for old in earlier[n]]
                share = max(sum(cosines) / len(cosines), torch.tensor(0.))
                average[n] = (1 - share) * average[n] + share * value
            else:
                average[n] = value
            earlier[n].append(value)
        for n in range(4):
            if average[n] is not None:
                assert torch.allclose(memory.read(state)[0, n], average[n],
                                      atol=1e-6)
    assert max(map(len, earlier)) > 3


@pytest.mark.parametrize('build, message', [
    (lambda: WindowMemory(length=0), 'length must be at least 1'),
    (lambda: SimilarityMemory(length=-1), 'length must not be negative'),
    (lambda: MomentumMemory(1.), r'momentum must lie in \[0, 1\)'),
])
def test_bad_options_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
