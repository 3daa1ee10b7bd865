"""Tracks from frames, checked by hand on 4x4 masks over three frames."""
import copy
import json
import tracemalloc

import numpy as np
import pytest
import torch

from mmvis_memcnp.results import (
    FileSink,
    MemorySink,
    Ranked,
    Record,
    TrackStore,
    decode_masks,
    empty_frame_result,
    encode_masks,
    frame_result,
)

SIZE = (4, 4)


def square(top, left):
    """A 4x4 mask with a 2x2 square."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[top:top + 2, left:left + 2] = True
    return mask


def frame(*instances, sigmas=True):
    """FrameResult of (id, label, score, mask, sigma) rows."""
    if not instances:
        return empty_frame_result(SIZE)
    ids, labels, scores, masks, sigma = zip(*instances, strict=True)
    boxes = torch.tensor([[m.any(0).argmax(), m.any(1).argmax()] for m in masks
                          ]).repeat(1, 2) + torch.tensor([0, 0, 2, 2])
    return frame_result(
        torch.tensor(ids), boxes, torch.tensor(scores), torch.tensor(labels),
        encode_masks(np.stack(masks)), ori_shape=SIZE,
        box_sigmas=torch.tensor(sigma)[:, None].repeat(1, 4)
        if sigmas else None)


def three_frames():
    """Identity 7 in frames 0, 1, 2; identity 2 in frames 0 and 2 only."""
    return [
        frame((7, 3, .5, square(0, 0), .2), (2, 1, .25, square(2, 2), .4)),
        frame((7, 5, .75, square(0, 1), .3)),
        frame((2, 0, .75, square(1, 2), .5), (7, 5, 1., square(0, 2), .1)),
    ]


class Store(TrackStore):
    """Every identity is a track; the label is the id, the score a half."""

    def finish(self):
        return super().finish([Ranked(i, i % 6, .5) for i in range(10)])


def fill(sink=None, frames=None):
    store = Store(sink)
    for result in three_frames() if frames is None else frames:
        store.append(result)
    return store


@pytest.fixture(params=['memory', 'file', 'named file'])
def sink(request, tmp_path):
    made = dict(memory=MemorySink, file=FileSink).get(request.param)
    made = made() if made else FileSink(str(tmp_path / 'tracks.bin'))
    yield made
    made.close()


class TestTrackStore:

    def test_tracks_are_those_of_the_ranking(self, sink):
        store = fill(sink)
        video = TrackStore.finish(
            store, [Ranked(7, 5, .75), Ranked(99, 0, .7), Ranked(2, 1, .5),
                    Ranked(7, 3, .25)])
        assert video.num_frames == 3
        # 99 has no masks; 7 has two labels, and so two tracks.
        assert [(t.id, t.label, t.score, t.num_detections)
                for t in video.tracks] == [
            (7, 5, .75, 3), (2, 1, .5, 2), (7, 3, .25, 3)]

    def test_absent_frames_are_none(self, sink):
        two, seven = fill(sink).finish().tracks
        assert two.segmentations[1] is None
        assert two.frame_scores == [.25, None, .75]
        assert two.sigmas[1] is None
        assert two.sigmas[::2] == pytest.approx([.4, .5])
        assert seven.sigmas == pytest.approx([.2, .3, .1])
        masks = decode_masks(seven.segmentations, SIZE)
        expected = [square(0, 0), square(0, 1), square(0, 2)]
        np.testing.assert_array_equal(masks, expected)

    def test_ytvis_entries(self, sink):
        entries = fill(sink).finish().to_ytvis(12, cat_ids=[4, 8, 15, 16, 23,
                                                            42])
        text = json.dumps(entries)
        assert json.loads(text) == entries
        assert [e['category_id'] for e in entries] == [15, 8]
        assert [e['video_id'] for e in entries] == [12, 12]
        assert entries[0]['segmentations'][1] is None
        np.testing.assert_array_equal(
            decode_masks([entries[0]['segmentations'][2]], SIZE)[0],
            square(1, 2))

    def test_frames_come_back_as_they_went_in(self, sink):
        frames = [frame()] + three_frames() + [frame(), frame()]
        back = list(fill(sink, frames).finish().iter_frames())
        assert [result.frame_id for result in back] == list(range(6))
        for old, new in zip(frames, back, strict=True):
            for key in ('instances_id', 'labels', 'scores', 'bboxes'):
                assert torch.equal(old[key], new[key]), key
            assert old.masks == new.masks
        assert torch.equal(back[1].box_sigmas, frames[1].box_sigmas)

    def test_result_is_a_snapshot(self, sink):
        store = fill(sink)
        before = store.finish()
        store.append(frame((7, 3, 0., square(2, 0), .9)))
        assert before.num_frames == 3
        assert len(before.tracks[1].segmentations) == 3
        assert len(list(before.iter_frames())) == 3
        assert store.finish().tracks[1].num_detections == 4

    def test_dropped_tracks_leave_the_frames(self, sink):
        video = fill(sink).finish()
        del video.tracks[0]
        assert [r.instances_id.tolist() for r in video.iter_frames()
                ] == [[7], [7], [7]]

    def test_no_frames_and_no_objects(self, sink):
        store = Store(sink)
        assert store.finish().to_ytvis(1, [1]) == []
        store.append(frame())
        assert store.finish().num_frames == 1
        assert store.finish().tracks == []

    def test_without_sigmas(self, sink):
        frames = [frame((0, 0, .5, square(0, 0), .1), sigmas=False)]
        track = fill(sink, frames).finish().tracks[0]
        assert track.sigmas == [None]
        assert 'box_sigmas' not in frames[0]

    def test_identity_twice_in_a_frame(self):
        row = (7, 3, .5, square(0, 0), .2)
        with pytest.raises(ValueError, match='Frame 0 holds an identity twi'):
            TrackStore().append(frame(row, row))

    def test_stores_share_nothing(self):
        first, second = Store(), Store()
        first.append(three_frames()[0])
        assert second.finish().tracks == []
        assert len(second) == 0


def test_file_equals_memory():
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        ids = rng.permutation(6)[:rng.integers(0, 6)]
        frames.append(frame(*[(int(i), int(rng.integers(3)), float(rng.random(
        )), rng.random(SIZE) > .5, float(rng.random())) for i in ids]))
    memory = fill(MemorySink(), frames).finish()
    on_disk = fill(FileSink(), frames).finish()
    assert memory.tracks == on_disk.tracks
    assert memory.to_ytvis(3, range(6)) == on_disk.to_ytvis(3, range(6))
    for one, other in zip(memory.tracks, on_disk.tracks,
                          strict=True):
        assert one.frame_scores == other.frame_scores
        assert one.sigmas == other.sigmas


def grown_bytes(sink, num_frames):
    """Python bytes that a store keeps after frames of 64x64 noise."""
    noise = np.random.default_rng(0).random((2, 64, 64)) > .5
    store = TrackStore(sink)
    tracemalloc.start()
    for _ in range(num_frames):
        result = frame_result(torch.tensor([0, 1]), torch.zeros(2, 4),
                              torch.ones(2), torch.zeros(2),
                              encode_masks(noise), ori_shape=(64, 64))
        store.append(result)
    del result
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept


def test_memory_of_a_file_sink_does_not_grow():
    # A 64x64 noise mask is a code of some kilobytes: 400 frames are > 1 MB.
    grown_bytes(FileSink(), 10)  # imports and caches
    short, long = grown_bytes(FileSink(), 50), grown_bytes(FileSink(), 400)
    in_memory = grown_bytes(MemorySink(), 400)
    assert in_memory > 1_000_000
    assert long - short < in_memory / 20  # free lists of the interpreter


def test_a_named_file_stays(tmp_path):
    path = tmp_path / 'tracks.bin'
    sink = FileSink(str(path))
    fill(sink)
    sink.close()
    assert path.stat().st_size == sink.num_bytes > 0


def test_encode_decode_round_trip():
    masks = np.random.default_rng(1).random((5, 7, 3)) > .5
    np.testing.assert_array_equal(
        decode_masks(encode_masks(masks), (7, 3)), masks)
    np.testing.assert_array_equal(
        decode_masks(encode_masks(torch.from_numpy(masks)), (7, 3)), masks)
    assert encode_masks(masks[:0]) == []
    assert decode_masks([], (7, 3)).shape == (0, 7, 3)
    assert encode_masks(masks)[0]['size'] == [7, 3]
    with pytest.raises(ValueError, match=r'\(n, H, W\)'):
        encode_masks(masks[0])


def test_frame_result_checks_lengths_and_dtypes():
    result = frame_result(np.array([3]), [[0, 0, 1, 1]], [.5], [1],
                          encode_masks(square(0, 0)[None]), ori_shape=SIZE,
                          frame_id=9)
    assert result.instances_id.dtype == result.labels.dtype == torch.int64
    assert result.bboxes.dtype == result.scores.dtype == torch.float32
    assert result.frame_id == 9 and result.ori_shape == SIZE
    with pytest.raises(ValueError, match='one entry an instance'):
        frame_result([1, 2], torch.zeros(2, 4), [.5], [1, 1], [],
                     ori_shape=SIZE)


def test_a_dropped_identity_starts_afresh(sink):
    frames = three_frames()
    store = fill(sink, frames[:2])
    before = store.finish()
    store.drop([7, 99])
    assert [t.id for t in store.finish().tracks] == [2]
    store.append(frames[2])
    track = store.finish().tracks[1]
    assert (track.id, track.num_detections) == (7, 1)
    assert track.frame_scores == [None, None, 1.]
    rows = [f.instances_id.tolist() for f in store.finish().iter_frames()]
    assert rows == [[2], [], [2, 7]]
    # What was given out stays as it was.
    assert before.tracks[1].frame_scores == [.5, .75]


@pytest.mark.parametrize('ids', [
    [0, 1, 0, 5, 1, 300, 0], [700, 0, 700], [3]])
def test_any_order_of_identities(tmp_path, ids):
    """Of each, its own records; of one that never came, none."""
    sinks = MemorySink(), FileSink(str(tmp_path / 'tracks')), FileSink()
    for sink in sinks:
        for frame, one in enumerate(ids):
            sink.write(Record(frame, one, 0, .5, (0., 0., 1., 1.), None,
                              dict(size=[2, 2], counts=b'04')))
    for one in (*set(ids), 2, 699, 10**6, -1):
        found = [[r.frame for r in sink.track(one)] for sink in sinks]
        assert found == [[t for t, i in enumerate(ids) if i == one]] * 3
    copied = copy.deepcopy(sinks[2])
    assert [r.frame for r in copied.track(ids[0])] == [
        r.frame for r in sinks[2].track(ids[0])]


def test_identities_count_from_zero(tmp_path):
    with pytest.raises(ValueError, match='-1 is no identity'):
        FileSink().write(Record(0, -1, 0, .5, (0., 0., 1., 1.), None,
                                dict(size=[2, 2], counts=b'04')))


def test_a_file_holds_little_memory_an_identity():
    """Not an object each: a stream may have very many."""
    sink = FileSink()
    code = dict(size=[2, 2], counts=b'04')
    tracemalloc.start()
    for one in range(20000):
        sink.write(Record(one, one, 0, .5, (0., 0., 1., 1.), None, code))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20000 * 10 + 20000
