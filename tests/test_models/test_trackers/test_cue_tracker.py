"""Cue tracker and its association."""
import copy
import math

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from mmvis_memcnp.models.trackers import CueAssociation, CueState


def build(max_tracks=None, **options):
    return MODELS.build(
        dict(
            type='CueTracker',
            association=dict(type='CueAssociation', **options),
            memory=dict(type='LatestMemory'),
            max_tracks=max_tracks))


def follow(tracker, *frames, state=None):
    """Identities of each frame, and the state after the last."""
    state, ids = state or tracker.start(), []
    for detections in frames:
        result, state = tracker.step(state, detections)
        ids.append(result.ids.tolist())
    return ids, state


def detect(*rows, dims=8):
    """Rows of (appearance axis, label, score, x) with boxes of 10 x 10."""
    axis, label, score, x = (list(c) for c in zip(*rows, strict=True)) \
        if rows else ([], [], [], [])
    x = torch.tensor(x, dtype=torch.float)
    return InstanceData(
        bboxes=torch.stack((x, x * 0, x + 10, x * 0 + 10), 1),
        scores=torch.tensor(score, dtype=torch.float),
        labels=torch.tensor(label, dtype=torch.long),
        embeds=torch.eye(dims)[torch.tensor(axis, dtype=torch.long)])


def test_scores_by_hand():
    objects = InstanceData(
        labels=torch.tensor([3, 4]),
        bboxes=torch.tensor([[0., 0, 9, 9], [100, 0, 109, 9]]),
        embeds=torch.tensor([[2., 0], [0, 5.]]))
    detections = InstanceData(
        bboxes=torch.tensor([[5., 0, 14, 9]]),
        scores=torch.tensor([0.5]),
        labels=torch.tensor([3]),
        embeds=torch.tensor([[0.6, 0.8]]))
    scores = CueAssociation()(objects, detections)
    # cosines .6, .8 over .1; IoU 5 / 15 with sides of 10 pixels
    total = math.log(1 + math.exp(6) + math.exp(8))
    expected = [
        0 - total + math.log(0.5) + 10,
        6 - total + math.log(0.5) + 2 / 3 + 10, 8 - total + math.log(0.5)
    ]
    assert torch.allclose(scores, torch.tensor([expected]))
    dot = CueAssociation('dot', 1., label_weight=0., iou_weight=0.)
    total = math.log(1 + math.exp(1.2) + math.exp(4.0))
    expected = [v - total + math.log(0.5) for v in (0, 1.2, 4.0)]
    assert torch.allclose(dot(objects, detections), torch.tensor([expected]))


def test_identities_follow_appearance_through_a_gap():
    ids, state = follow(
        build(), detect((0, 1, .9, 0), (1, 1, .8, 50)),
        detect((1, 1, .9, 52)), detect(),
        detect((2, 1, .9, 90), (0, 1, .8, 40)))
    assert ids == [[0, 1], [1], [], [2, 0]]
    assert state.next_id == 3 and state.frame == 4
    assert state.last_seen.tolist() == [3, 1, 3]
    assert state.hits.tolist() == [2, 2, 1]


def test_a_video_that_starts_empty():
    tracker = build()
    out, state = tracker.step(tracker.start(), detect())
    assert out.ids.shape == (0, ) and out.scores.shape == (0, 1)
    out, state = tracker.step(state, detect((0, 1, .9, 0), (1, 1, .9, 0)))
    assert out.ids.tolist() == [0, 1] and out.scores.shape == (2, 1)


@pytest.mark.parametrize('rows, ids, x', [
    # both look like object 0: the first scores more
    (((0, 1, .9, 0), (0, 1, .5, 3)), [0, -1], 0),
    # the second scores more; its box is remembered
    (((0, 1, .5, 3), (0, 1, .9, 0)), [-1, 0], 0),
    # alike: the first
    (((0, 1, .9, 2), (0, 1, .9, 2)), [0, -1], 2),
])
def test_the_better_detection_gets_the_object(rows, ids, x):
    found, state = follow(build(), detect((0, 1, .9, 0)), detect(*rows))
    assert found[1] == ids
    assert state.boxes[0, 0] == x and len(state) == 1


def loop_matches(scores):
    """The published rule, detection after detection: who exceeds all before
    takes the object away from them."""
    record, holder = {}, {}
    for i, row in enumerate(scores.tolist()):
        column = row.index(max(row))
        if column and row[column] > record.get(column, -100.):
            record[column], holder[column] = row[column], i
    rows = [len(scores[0]) - 1 if row.index(max(row)) == 0 else -1
            for row in scores.tolist()]
    for column, i in holder.items():
        rows[i] = column - 1
    return rows


def test_batched_matches_are_the_loop():
    tracker, g = build(), torch.Generator().manual_seed(0)
    state = CueState(None, ids=torch.arange(4))
    for _ in range(50):
        scores = torch.randint(-102, -96, (12, 5), generator=g).float()
        rows = tracker.decide(state, scores, torch.zeros(12))
        assert rows.tolist() == loop_matches(scores)


def test_memory_takes_embedding_and_box_but_keeps_the_label():
    tracker = build(label_weight=0.)
    later = detect((0, 7, .9, 5))
    later.embeds = later.embeds * 3
    ids, state = follow(tracker, detect((0, 1, .9, 0)), later)
    assert ids == [[0], [0]]
    assert state.labels.tolist() == [1] and state.boxes[0, 0] == 5
    assert tracker.memory.read(state.memory)[0, 0, 0] == 3


def test_limited_memory_keeps_the_latest_and_never_reuses_an_id():
    tracker = build(max_tracks=2)
    ids, state = follow(
        tracker, detect((0, 1, .9, 0), (1, 1, .9, 50)),
        detect((1, 1, .9, 50), (2, 1, .9, 100)))
    assert state.ids.tolist() == [1, 2]  # object 0 is forgotten
    assert state.boxes[:, 0].tolist() == [50, 100]
    ids, state = follow(tracker, detect((0, 1, .9, 0), (2, 1, .9, 100)),
                        state=state)
    assert ids == [[3, 2]]
    assert state.ids.tolist() == [2, 3] and len(state.memory) == 2
    with pytest.raises(ValueError, match='max_tracks'):
        build(max_tracks=0)


def test_two_videos_side_by_side_and_copies():
    tracker = build()
    _, one = follow(tracker, detect((0, 1, .9, 0)))
    _, two = follow(tracker, detect((3, 1, .9, 0), (0, 1, .9, 60)))
    kept = copy.deepcopy(one)
    new = detect((0, 1, .9, 4), (5, 2, .9, 30))
    first, later = tracker.step(one, new)
    assert follow(tracker, detect((0, 1, .9, 60)), state=two)[0] == [[1]]
    assert torch.equal(one.boxes, kept.boxes) and len(one) == 1
    again, _ = tracker.step(kept, new)
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.scores, again.scores)
    assert later.ids.tolist() == [0, 1]


def test_the_order_of_detections_does_not_decide():
    tracker, order = build(), torch.tensor([2, 0, 1])
    _, state = follow(tracker, detect((0, 1, .9, 0), (1, 1, .8, 50)))
    frame = detect((1, 1, .6, 52), (0, 1, .9, 4), (0, 1, .5, 30))
    result, _ = tracker.step(state, frame)
    moved, _ = tracker.step(state, frame[order])
    assert result.ids.tolist() == [1, 0, -1]
    assert moved.ids.tolist() == result.ids[order].tolist()


def test_bad_similarity_is_named():
    with pytest.raises(ValueError, match='similarity'):
        CueAssociation('euclid')
