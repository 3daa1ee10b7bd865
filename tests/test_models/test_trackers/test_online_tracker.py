"""Online tracker, its association and its memory; fast NMS."""
import math

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from mmvis_memcnp.models.layers import fast_nms, pairwise_iou
from mmvis_memcnp.models.trackers import CueAssociation, TrackState
from mmvis_memcnp.models.trackers.cue import claim


def build(max_tracks=None, **options):
    return MODELS.build(
        dict(
            type='OnlineTracker',
            association=dict(type='CueAssociation', **options),
            memory=dict(type='LatestMemory', max_tracks=max_tracks)))


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
    state = TrackState(
        ids=torch.tensor([0, 1]),
        labels=torch.tensor([3, 4]),
        boxes=torch.tensor([[0., 0, 9, 9], [100, 0, 109, 9]]),
        embeds=torch.tensor([[2., 0], [0, 5.]]))
    detections = InstanceData(
        bboxes=torch.tensor([[5., 0, 14, 9]]),
        scores=torch.tensor([0.5]),
        labels=torch.tensor([3]),
        embeds=torch.tensor([[0.6, 0.8]]))
    scores = CueAssociation()(state, detections)
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
    assert torch.allclose(dot(state, detections), torch.tensor([expected]))


def test_iou_conventions():
    a = torch.tensor([[0., 0, 9, 9]])
    b = torch.tensor([[5., 0, 14, 9], [20, 20, 30, 30], [0, 0, 9, 9]])
    assert torch.allclose(pairwise_iou(a, b, 1.),
                          torch.tensor([[1 / 3, 0, 1.]]))
    assert torch.allclose(pairwise_iou(a, b, 0.),
                          torch.tensor([[36 / 126, 0, 1.]]))
    point = torch.zeros(1, 4)
    assert pairwise_iou(point, point, 0.).item() == 0


def test_identities_follow_appearance_through_a_gap():
    tracker = build()
    state = tracker.start()
    assert tracker.step(state, detect((0, 1, .9, 0), (1, 1, .8, 50))).ids \
        .tolist() == [0, 1]
    assert tracker.step(state, detect((1, 1, .9, 52))).ids.tolist() == [1]
    assert tracker.step(state, detect()).ids.tolist() == []
    assert tracker.step(state, detect((2, 1, .9, 90), (0, 1, .8, 40))).ids \
        .tolist() == [2, 0]
    assert state.next_id == 3 and state.frame == 4


def test_a_video_that_starts_empty():
    tracker = build()
    state = tracker.start()
    out = tracker.step(state, detect())
    assert out.ids.shape == (0, ) and out.scores.shape == (0, 1)
    out = tracker.step(state, detect((0, 1, .9, 0), (1, 1, .9, 0)))
    assert out.ids.tolist() == [0, 1] and out.scores.shape == (2, 1)


def test_the_better_claim_holds():
    """Both claim object 0: a worse later one is dropped, a better one
    takes the id as well and updates the memory."""
    for rows, ids, x in (((( 0, 1, .9, 0), (0, 1, .5, 3)), [0, -1], 0),
                         (((0, 1, .5, 3), (0, 1, .9, 0)), [0, 0], 0)):
        tracker = build()
        state = tracker.start()
        tracker.step(state, detect((0, 1, .9, 0)))
        assert tracker.step(state, detect(*rows)).ids.tolist() == ids
        assert state.boxes[0, 0] == x and len(state) == 1


def loop_claims(best, column, min_claim):
    """The published rule, claim after claim."""
    record, last, takes = {}, {}, []
    for i, (score, c) in enumerate(zip(best, column, strict=True)):
        takes.append(c > 0 and score > record.get(c, min_claim))
        if takes[-1]:
            record[c], last[c] = score, i
    return takes, [takes[i] and last[c] == i for i, c in enumerate(column)]


def test_batched_claims_are_the_loop():
    g = torch.Generator().manual_seed(0)
    for _ in range(50):
        best = torch.randint(-3, 4, (12, ), generator=g).float()
        column = torch.randint(0, 4, (12, ), generator=g)
        takes, holds = claim(best, column, -2.)
        expected = loop_claims(best.tolist(), column.tolist(), -2.)
        assert (takes.tolist(), holds.tolist()) == expected


def test_memory_takes_embedding_and_box_but_keeps_the_label():
    tracker = build(label_weight=0.)
    state = tracker.start()
    tracker.step(state, detect((0, 1, .9, 0)))
    later = detect((0, 7, .9, 5))
    later.embeds = later.embeds * 3
    assert tracker.step(state, later).ids.tolist() == [0]
    assert state.labels.tolist() == [1] and state.boxes[0, 0] == 5
    assert state.embeds[0, 0] == 3


def test_limited_memory_keeps_the_latest_and_never_reuses_an_id():
    tracker = build(max_tracks=2)
    state = tracker.start()
    tracker.step(state, detect((0, 1, .9, 0), (1, 1, .9, 50)))
    tracker.step(state, detect((1, 1, .9, 50), (2, 1, .9, 100)))
    assert state.ids.tolist() == [1, 2]  # object 0 is forgotten
    out = tracker.step(state, detect((0, 1, .9, 0), (2, 1, .9, 100)))
    assert out.ids.tolist() == [3, 2]
    assert state.ids.tolist() == [2, 3]
    with pytest.raises(ValueError, match='max_tracks'):
        build(max_tracks=0)


def test_two_videos_side_by_side_and_snapshots():
    tracker = build()
    one, two = tracker.start(), tracker.start()
    tracker.step(one, detect((0, 1, .9, 0)))
    tracker.step(two, detect((3, 1, .9, 0), (0, 1, .9, 60)))
    snapshot = one.snapshot()
    held = [snapshot.ids.clone(), snapshot.boxes.clone()]
    first = tracker.step(one, detect((0, 1, .9, 4), (5, 2, .9, 30)))
    assert tracker.step(two, detect((0, 1, .9, 60))).ids.tolist() == [1]
    assert torch.equal(snapshot.ids, held[0])
    assert torch.equal(snapshot.boxes, held[1])
    again = tracker.step(snapshot, detect((0, 1, .9, 4), (5, 2, .9, 30)))
    assert torch.equal(first.ids, again.ids)
    assert torch.equal(first.scores, again.scores)


def test_bad_similarity_is_named():
    with pytest.raises(ValueError, match='similarity'):
        CueAssociation('euclid')


# -- fast NMS -------------------------------------------------------------
def test_fast_nms_by_hand():
    """A suppressed box still suppresses; classes do not meet."""
    boxes = torch.tensor([[0., 0, 10, 10], [0, 3, 10, 13], [0, 6, 10, 16],
                          [50, 0, 60, 10]])
    scores = torch.tensor([[.9, .8, .7, .05], [.0, .6, .0, .65]])
    kept, score, label, row = fast_nms(boxes, scores, 0.5, 0.1, 200, 10)
    # IoU 7/13 between neighbours: 1 falls to 0, 2 falls to the fallen 1
    assert row.tolist() == [0, 3, 1] and label.tolist() == [0, 1, 1]
    assert torch.allclose(score, torch.tensor([.9, .65, .6]))
    assert torch.equal(kept, boxes[row])
    assert fast_nms(boxes, scores, 0.5, 0.1, 200, 2)[3].tolist() == [0, 3]
    # only the best of each class takes part
    assert fast_nms(boxes, scores, 0.5, 0.1, 1, 9)[3].tolist() == [0, 3]


@pytest.mark.parametrize('num', [0, 3])
def test_fast_nms_of_nothing(num):
    kept, score, label, row = fast_nms(
        torch.rand(num, 4), torch.zeros(2, num), 0.5, 0.1, 200, 10)
    assert kept.shape == (0, 4)
    assert [len(x) for x in (score, label, row)] == [0, 0, 0]
