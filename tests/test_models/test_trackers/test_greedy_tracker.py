"""Bi-softmax association and the greedy tracker."""
import copy
import math

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from mmvis_memcnp.models.trackers import BiSoftmaxAssociation
from mmvis_memcnp.models.trackers.greedy import choose_in_order

SCALE = 9.  # of the embeddings: a dot product of 81 decides


def tracker(**options):
    return MODELS.build(
        dict(
            type='GreedyTracker',
            association=dict(type='BiSoftmaxAssociation'),
            memory=dict(type='WindowMemory'),
            **options))


def detect(*rows, dims=6):
    """Rows of (appearance axis, score)."""
    axis = torch.tensor([r[0] for r in rows], dtype=torch.long)
    score = torch.tensor([r[1] for r in rows], dtype=torch.float)
    return InstanceData(embeds=SCALE * torch.eye(dims)[axis], scores=score)


def follow(model, *frames, state=None):
    """Identities of each frame, and the state after the last."""
    state, ids = state or model.start(), []
    for detections in frames:
        result, state = model.step(state, detections)
        ids.append(result.ids.tolist())
    return ids, state


def test_bisoftmax_by_hand():
    objects = InstanceData(embeds=torch.tensor([[2., 0], [0, 4.]]))
    found = InstanceData(embeds=torch.tensor([[1., 0], [3., 1.], [0., 5.]]))
    scores = BiSoftmaxAssociation()(objects, found)
    dots = [[2., 0.], [6., 4.], [0., 20.]]
    for i, row in enumerate(dots):
        for m, value in enumerate(row):
            over_tracks = math.exp(value) / sum(map(math.exp, row))
            column = [r[m] for r in dots]
            over_found = math.exp(value) / sum(map(math.exp, column))
            assert scores[i, m] == pytest.approx(
                (over_tracks + over_found) / 2, rel=1e-4)


def test_bisoftmax_of_cosines():
    objects = InstanceData(embeds=torch.tensor([[2., 0], [0, 4.]]))
    found = InstanceData(embeds=torch.tensor([[3., 4.]]))
    scores = BiSoftmaxAssociation('cosine', 0.1)(objects, found)
    share = 1 / (1 + math.exp(2))
    assert scores.tolist()[0] == pytest.approx(
        [(share + 1) / 2, (2 - share) / 2])
    with pytest.raises(ValueError, match='similarity'):
        BiSoftmaxAssociation('l2')
    with pytest.raises(ValueError, match='temperature'):
        BiSoftmaxAssociation(temperature=0.)


@pytest.mark.parametrize('options, missing, ids', [
    # unseen in nine frames: the same object
    ({}, 9, [0]),
    # in ten: forgotten, and its number is not given again
    ({}, 10, [1]),
    (dict(max_gap=1), 0, [0]),
    (dict(max_gap=1), 1, [1]),
    (dict(max_gap=None), 30, [0]),
])
def test_long_unseen_objects_are_forgotten(options, missing, ids):
    frames = [detect((0, .9)), *[detect()] * missing, detect((0, .9))]
    assert follow(tracker(**options), *frames)[0][-1] == ids


def test_identities_follow_appearance():
    model = tracker()
    ids, state = follow(model, detect((0, .9), (1, .8)))
    assert ids == [[0, 1]]
    found, state = model.step(state, detect((1, .9), (2, .5), (0, .4)))
    assert found.ids.tolist() == [1, 2, 0]
    assert found.scores.shape == (3, 2)
    assert state.hits.tolist() == [2, 2, 1] and state.next_id == 3


def test_thresholds_of_new_objects():
    model = tracker(init_score_thr=0.2, new_score_thr=0.3)
    ids, _ = follow(
        model, detect((0, .25), (1, .2), (2, .1)),
        detect((0, .25), (1, .3), (2, .25), (3, .31)))
    assert ids == [[0, -1, -1], [0, -1, -1, 1]]


def test_all_forgotten_is_as_at_the_start():
    """The threshold of first objects holds again, numbers go on."""
    model = tracker(init_score_thr=0.2, new_score_thr=0.3, max_gap=1)
    ids, state = follow(model, detect((0, .9)), detect(), detect((1, .25)))
    assert ids == [[0], [], [1]] and state.next_id == 2


def test_an_object_is_given_away_once():
    # Both look like object 0; alone it gets both halves of the softmax.
    ids, _ = follow(tracker(), detect((0, .9)), detect((0, .9), (0, .8)))
    assert ids == [[0], [0, 1]]


def test_more_often_seen_objects_are_preferred():
    frames = [detect((0, .9), (1, .9)), *[detect((1, .9))] * 4]
    found = detect((0, .9))
    found.embeds = torch.tensor([[1.2, 1., 0, 0, 0, 0]]) / SCALE
    # One detection: each object gets 1/2 + half its share.
    ids = [follow(tracker(frame_weight=weight), *frames, found)[0][-1]
           for weight in (True, False)]
    assert ids == [[1], [0]]


@pytest.mark.parametrize('seed', range(5))
def test_choices_equal_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(12, 5, generator=generator)
    allowed = torch.rand(12, 5, generator=generator) < 0.5
    taken, expected = set(), []
    for row, may in zip(scores, allowed, strict=True):
        free = [m for m in range(5) if may[m] and m not in taken]
        expected.append(max(free, key=lambda m: row[m]) if free else -1)
        taken.add(expected[-1])
    assert choose_in_order(scores, allowed).tolist() == expected


def test_nothing_found_at_first_or_later():
    model = tracker()
    ids, state = follow(model, detect(), detect((0, .9)))
    assert ids == [[], [0]]
    result, state = model.step(state, detect())
    assert result.ids.shape == (0, ) and result.scores.shape == (0, 1)
    assert len(state) == 1 and state.frame == 3


def test_a_state_is_a_value():
    model = tracker()
    _, one = follow(model, detect((0, .9), (1, .4)))
    kept = copy.deepcopy(one)
    frames = [detect((1, .5), (2, .9)), detect(), detect((2, .7), (0, .6))]
    ids, later = follow(model, *frames, state=one)
    again, same = follow(model, *frames, state=kept)
    assert ids == again == [[1, 2], [], [2, 0]]
    assert torch.equal(later.memory.recent, same.memory.recent)
    assert one.ids.tolist() == [0, 1] and one.frame == 1
    assert torch.equal(one.memory.embeds, kept.memory.embeds)


def test_the_order_of_equal_detections_does_not_matter():
    """As long as no two want the same object."""
    model, order = tracker(), torch.tensor([2, 0, 1])
    _, state = follow(model, detect((0, .9), (1, .8)))
    frame = detect((1, .9), (2, .1), (0, .4))
    one, moved = model.step(state, frame), model.step(state, frame[order])
    assert one[0].ids.tolist() == [1, -1, 0]
    assert moved[0].ids.tolist() == one[0].ids[order].tolist()
    assert torch.allclose(moved[1].memory.embeds, one[1].memory.embeds)


def test_the_state_stays_small():
    def size(frames):
        model, generator = tracker(), torch.Generator().manual_seed(0)
        state = model.start()
        for _ in range(frames):
            found = detect(*[(i, .9) for i in range(4)])
            found.embeds = torch.randn(4, 6, generator=generator) * 5
            _, state = model.step(state, found)
        return state, state.memory.recent.numel()

    short, long = size(40), size(160)
    assert long[0].next_id > 40  # objects came and went
    assert len(long[0]) <= 40  # at most 4 new ones a frame, for 10 frames
    assert long[1] <= 1.5 * short[1]


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='max_gap must be at least 1'):
        tracker(max_gap=0)
