"""Bi-softmax association, window memory and the greedy tracker."""
import copy
import math

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from mmvis_memcnp.models.trackers import (
    BiSoftmaxAssociation,
    WindowMemory,
    WindowState,
)
from mmvis_memcnp.models.trackers.greedy import claim_in_order

SCALE = 9.  # of the embeddings: a dot product of 81 decides


def tracker(memory=None, **options):
    return MODELS.build(
        dict(
            type='GreedyTracker',
            association=dict(type='BiSoftmaxAssociation'),
            memory=dict(type='WindowMemory', **(memory or {})),
            **options))


def detect(*rows, dims=6, place=None):
    """Rows of (appearance axis, score); masks are apart."""
    axis = torch.tensor([r[0] for r in rows], dtype=torch.long)
    score = torch.tensor([r[1] for r in rows], dtype=torch.float)
    masks = torch.zeros(len(rows), 4, 16, dtype=torch.bool)
    for i, mask in enumerate(masks):
        column = i if place is None else place[i]
        mask[:, 2 * column:2 * column + 2] = True
    return InstanceData(
        embeds=SCALE * torch.eye(dims)[axis], scores=score, labels=axis,
        bboxes=score[:, None] * torch.tensor([0., 0, 1, 1]), masks=masks)


def test_bisoftmax_by_hand():
    state = WindowState(ids=torch.tensor([0, 1]),
                        embeds=torch.tensor([[2., 0], [0, 4.]]))
    found = InstanceData(embeds=torch.tensor([[1., 0], [3., 1.], [0., 5.]]))
    scores = BiSoftmaxAssociation()(state, found)
    dots = [[2., 0.], [6., 4.], [0., 20.]]
    for i, row in enumerate(dots):
        for m, value in enumerate(row):
            over_tracks = math.exp(value) / sum(map(math.exp, row))
            column = [r[m] for r in dots]
            over_found = math.exp(value) / sum(map(math.exp, column))
            assert scores[i, m] == pytest.approx(
                (over_tracks + over_found) / 2, rel=1e-4)


def test_bisoftmax_of_cosines():
    state = WindowState(embeds=torch.tensor([[2., 0], [0, 4.]]))
    found = InstanceData(embeds=torch.tensor([[3., 4.]]))
    scores = BiSoftmaxAssociation('cosine', 0.1)(state, found)
    share = 1 / (1 + math.exp(2))
    assert scores.tolist()[0] == pytest.approx(
        [(share + 1) / 2, (2 - share) / 2])
    with pytest.raises(ValueError, match='similarity'):
        BiSoftmaxAssociation('l2')
    with pytest.raises(ValueError, match='temperature'):
        BiSoftmaxAssociation(temperature=0.)


def test_memory_weights_by_score_and_recency():
    memory, state = WindowMemory(length=3), WindowState()
    seen = []
    for t, score in enumerate((0.9, 0.5, 0.3, 0.7)):
        value = torch.tensor([[float(t + 1), 1.]])
        memory.update(
            state,
            InstanceData(embeds=value, scores=torch.tensor([score]),
                         labels=torch.tensor([t]),
                         bboxes=torch.full((1, 4), float(t))),
            torch.tensor([0]))
        seen = [*seen, (t + 1., score)][-3:]
        weights = [s + (i + 1) / len(seen) for i, (_, s) in enumerate(seen)]
        mean = sum(w * v for w, (v, _) in zip(weights, seen, strict=True))
        assert state.embeds[0].tolist() == pytest.approx(
            [mean / sum(weights), 1.])
        assert state.hits.tolist() == [t + 1]
        assert state.labels.tolist() == [t] and state.boxes[0, 0] == t
        assert state.ids.tolist() == [0]


def test_memory_of_unit_vectors():
    memory, state = WindowMemory(normalize=True), WindowState()
    memory.update(state, detect((1, .5)), torch.tensor([0]))
    assert state.embeds.norm() == pytest.approx(1)
    with pytest.raises(ValueError, match='at least 1'):
        WindowMemory(length=0)


@pytest.mark.parametrize('missing, ids', [(9, [0]), (10, [1])])
def test_unseen_for_ten_frames_is_forgotten(missing, ids):
    model = tracker()
    state = model.start()
    model.step(state, detect((0, .9)))
    for _ in range(missing):
        model.step(state, detect())
    assert model.step(state, detect((0, .9))).ids.tolist() == ids


def test_identities_follow_appearance():
    model = tracker()
    state = model.start()
    assert model.step(state, detect((0, .9), (1, .8))).ids.tolist() == [0, 1]
    found = model.step(state, detect((1, .9), (2, .5), (0, .4)))
    assert found.ids.tolist() == [1, 2, 0]
    assert found.scores.shape == (3, 2)
    assert state.hits.tolist() == [2, 2, 1] and state.next_id == 3


def test_thresholds_of_new_objects_and_backdrops():
    model = tracker(init_score_thr=0.2, new_score_thr=0.3)
    state = model.start()
    # The third stands on the first, the fourth alone.
    first = detect((0, .25), (1, .2), (2, .1), (3, .1), place=[0, 1, 0, 3])
    assert model.step(state, first).ids.tolist() == [0, -1, -2, -1]
    again = detect((0, .25), (1, .3), (2, .25), (3, .31))
    assert model.step(state, again).ids.tolist() == [0, -1, -1, 1]


def test_an_object_is_given_away_once():
    model = tracker()
    state = model.start()
    model.step(state, detect((0, .9)))
    # Both look like object 0; alone it gets both halves of the softmax.
    ids = model.step(state, detect((0, .9), (0, .8))).ids.tolist()
    assert ids == [0, 1]


def test_more_often_seen_objects_are_preferred():
    state = WindowState(
        ids=torch.tensor([0, 1]), hits=torch.tensor([1, 5]),
        labels=torch.zeros(2).long(), boxes=torch.zeros(2, 4),
        last_seen=torch.zeros(2).long(), recent=torch.zeros(2, 3, 6),
        recent_scores=torch.zeros(2, 3), embeds=torch.eye(6)[:2], next_id=2)
    found = detect((0, .9))
    found.embeds = torch.tensor([[1.2, 1., 0, 0, 0, 0]])
    # One detection: each object gets 1/2 + half its share.
    ids = [
        tracker(frame_weight=weight).step(copy.deepcopy(state),
                                          found).ids.tolist()
        for weight in (True, False)
    ]
    assert ids == [[1], [0]]


@pytest.mark.parametrize('seed', range(5))
def test_claims_equal_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(12, 5, generator=generator)
    allowed = torch.rand(12, 5, generator=generator) < 0.5
    taken, expected = set(), []
    for row, may in zip(scores, allowed, strict=True):
        free = [m for m in range(5) if may[m] and m not in taken]
        expected.append(max(free, key=lambda m: row[m]) if free else -1)
        taken.add(expected[-1])
    assert claim_in_order(scores, allowed).tolist() == expected


def test_nothing_found_at_first_or_later():
    model = tracker()
    state = model.start()
    assert model.step(state, detect()).ids.shape == (0, )
    assert model.step(state, detect((0, .9))).ids.tolist() == [0]
    assert model.step(state, detect()).scores.shape == (0, 1)
    assert len(state) == 1 and state.frame == 3


def test_a_state_is_a_value():
    model = tracker()
    one, two = model.start(), model.start()
    model.step(one, detect((0, .9)))
    kept = one.snapshot()
    before = copy.deepcopy(kept)
    model.step(one, detect((0, .5), (1, .9)))
    model.step(two, detect((1, .9)))
    assert two.ids.tolist() == [0] and one.ids.tolist() == [0, 1]
    for name, value in vars(before).items():
        same = getattr(kept, name) == value
        assert same if isinstance(same, bool) else same.all()


def test_the_state_stays_small():
    def size(frames):
        model, generator = tracker(), torch.Generator().manual_seed(0)
        state = model.start()
        for _ in range(frames):
            found = detect(*[(i, .9) for i in range(4)])
            found.embeds = torch.randn(4, 6, generator=generator) * 5
            model.step(state, found)
        return state, sum(v.numel() for v in vars(state).values()
                          if isinstance(v, torch.Tensor))

    short, long = size(40), size(160)
    assert long[0].next_id > 40  # objects came and went
    assert len(long[0]) <= 40  # at most 4 new ones a frame, for 10 frames
    assert long[1] <= 1.5 * short[1]
