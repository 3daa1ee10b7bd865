"""Queries that stay as many: order, memories, occupied ones first."""
import copy
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from mmvis_memcnp.models.trackers import HungarianAssociation, reorder

MEMORIES = ['LatestMemory', 'MomentumMemory', 'SimilarityMemory',
            'OccupancyMemory', 'WindowMemory']


def build(memory='LatestMemory', occupied_first=False):
    return MODELS.build(dict(
        type='RowTracker', memory=dict(type=memory),
        association=dict(type='HungarianAssociation',
                         occupied_first=occupied_first)))


def clip(batch=1, length=4, count=6, width=8, seed=0):
    """Embeddings (T, B, N, C) of objects that change a little, shuffled
    anew in every frame, and which object each query is (T, B, N)."""
    g = torch.Generator().manual_seed(seed)
    objects = torch.randn(batch, count, width, generator=g)
    orders = torch.stack([
        torch.stack([torch.randperm(count, generator=g)
                     for _ in range(batch)]) for _ in range(length)])
    noise = torch.randn(length, batch, count, width, generator=g) * .1
    return torch.stack([reorder(objects, o) for o in orders]) + noise, orders


def follow(tracker, embeds, state=None, **given):
    state, orders = state or tracker.start(), []
    for t, frame in enumerate(embeds):
        tracked, state = tracker.step(
            state, frame, **{k: v[t] for k, v in given.items()})
        orders.append(tracked.order)
    return torch.stack(orders), state


@pytest.mark.parametrize('memory', MEMORIES)
def test_objects_keep_the_row_of_the_first_frame(memory):
    embeds, truth = clip(batch=2)
    orders, _ = follow(build(memory), embeds)
    assert torch.equal(orders[0], torch.arange(6).expand(2, 6))
    for found, which in zip(orders, truth, strict=True):
        assert torch.equal(reorder(which, found), truth[0])


def test_the_assignment_is_the_best_of_all():
    g = torch.Generator().manual_seed(3)
    old, new = torch.randn(2, 1, 5, 4, generator=g)
    cosine = F.normalize(old[0], dim=-1) @ F.normalize(new[0], dim=-1).T
    best = max(permutations(range(5)),
               key=lambda p: sum(cosine[i, c] for i, c in enumerate(p)))
    assert HungarianAssociation()(old, new)[0].tolist() == list(best)


ONE, TWO, NEW = [1., 0.], [.6, .8], [.8, .6]


@pytest.mark.parametrize('occupied, order', [
    # cosines .6 and .8 of the first object, -.28 and .96 of the second: the
    # best sum is .6 + .96
    (None, [0, 1]),
    # all or none occupied is the same
    ([True, True], [0, 1]),
    ([False, False], [0, 1]),
    # the first object alone is occupied: it takes its best, .8
    ([True, False], [1, 0]),
    # the second one
    ([False, True], [0, 1]),
])
def test_occupied_objects_choose_first(occupied, order):
    """Objects (1, 0) and (.6, .8); queries (.6, -.8) and (.8, .6)."""
    objects = torch.tensor([[ONE, TWO]])
    queries = torch.tensor([[[.6, -.8], NEW]])
    associate = HungarianAssociation(occupied_first=occupied is not None)
    found = associate(objects, queries, None if occupied is None else
                      torch.tensor([occupied]))
    assert found.tolist() == [order]


def test_what_was_once_present_stays_occupied():
    tracker = build(occupied_first=True)
    embeds, truth = clip(length=3)
    present = torch.zeros(3, 1, 6, dtype=torch.bool)
    for t, objects in enumerate(([0, 1], [2], [])):
        for n in objects:
            present[t] |= truth[t] == n
    _, state = follow(tracker, embeds, present=present)
    assert sorted(truth[0, 0][state.occupied[0]].tolist()) == [0, 1, 2]


def test_occupied_first_needs_to_know():
    tracker = build(occupied_first=True)
    embeds, _ = clip(length=2)
    with pytest.raises(ValueError, match='give the tracker `present`'):
        follow(tracker, embeds)


def test_weights_follow_their_queries():
    embeds, truth = clip(length=2)
    weight = torch.stack([truth[0] / 10., truth[1] / 10.])
    tracker = build('OccupancyMemory')
    orders, state = follow(tracker, embeds, weight=weight)
    share = truth[0, 0][:, None] / 10.  # object n counts n / 10
    first, second = embeds[0, 0], reorder(embeds[1], orders[1])[0]
    assert torch.allclose(tracker.memory.read(state.memory)[0],
                          (1 - share) * first + share * second)


@pytest.mark.parametrize('memory', MEMORIES)
def test_videos_of_a_batch_are_as_alone(memory):
    embeds, _ = clip(batch=3)
    tracker = build(memory)
    both, state = follow(tracker, embeds)
    for b in range(3):
        one, alone = follow(tracker, embeds[:, b:b + 1])
        assert torch.equal(one[:, 0], both[:, b])
        assert torch.allclose(alone.memory.embeds[0],
                              state.memory.embeds[b])


@pytest.mark.parametrize('memory', MEMORIES)
def test_shuffled_queries_give_the_same_objects(memory):
    embeds, _ = clip(batch=2)
    shuffled = embeds.clone()
    shuffled[1:] = embeds[1:, :, [3, 1, 0, 5, 4, 2]]
    one, state = follow(build(memory), embeds)
    two, other = follow(build(memory), shuffled)
    for frame, moved, a, b in zip(embeds, shuffled, one, two, strict=True):
        assert torch.equal(reorder(frame, a), reorder(moved, b))
    assert torch.allclose(state.memory.embeds, other.memory.embeds)


@pytest.mark.parametrize('memory', MEMORIES)
def test_a_state_is_a_value(memory):
    embeds, _ = clip(length=6)
    tracker = build(memory)
    _, middle = follow(tracker, embeds[:3])
    kept = copy.deepcopy(middle)
    one, _ = follow(tracker, embeds[3:], middle)
    assert torch.equal(middle.memory.embeds, kept.memory.embeds)
    two, _ = follow(tracker, embeds[3:], kept)
    assert torch.equal(one, two)


def test_gradients_pass_through_the_memory():
    embeds, _ = clip(length=3)
    embeds.requires_grad_()
    tracker = build('SimilarityMemory')
    _, state = follow(tracker, embeds)
    tracker.memory.read(state.memory).square().sum().backward()
    assert (embeds.grad.abs().sum((1, 3)) > 0).all()  # every query and frame


@pytest.mark.parametrize('count', [1, 0])
def test_one_query_and_none(count):
    orders, _ = follow(build(), torch.randn(3, 2, count, 4))
    assert torch.equal(orders, torch.zeros(3, 2, count, dtype=torch.long))


def test_a_query_that_is_no_number_is_like_none():
    old = torch.eye(3)[None]
    new = torch.eye(3)[None, [1, 0, 2]]
    new[0, 2] = torch.nan
    assert HungarianAssociation()(old, new).tolist() == [[1, 0, 2]]


def test_as_many_queries_in_all_frames():
    tracker = build()
    _, state = tracker.step(tracker.start(), torch.randn(1, 4, 8))
    with pytest.raises(ValueError, match='1 videos with 5 queries came after '
                                         '1 with 4'):
        tracker.step(state, torch.randn(1, 5, 8))
