"""Sessions of systems that see several frames at once."""
import pytest
import torch

from mmvis_memcnp.models.vis.session import CHUNK
from mmvis_memcnp.results import FileSink, decode_masks
from tests.fakes.tiny_seqformer import (
    BrightClips,
    kept_bytes,
    metas,
    tiny_model,
)
from tests.fakes.tiny_sipmask import noise

WINDOW = dict(type='ClipMatching', length=5, stride=1)


def frames(count, seed=0, size=(32, 32)):
    return noise(count, size, seed).float()


def run(model, clip, chunk=1):
    """Results by step, and the video."""
    session, given = model.session(), metas(len(clip), clip.shape[-2:])
    late = [session.step(clip[at:at + chunk], given[at:at + chunk])
            for at in range(0, len(clip), chunk)]
    late.append(session.flush())
    return late, session.finish()


def same(a, b):
    assert a.frame_id == b.frame_id
    assert torch.equal(a.instances_id, b.instances_id)
    # Frames encoded in other company round differently, and a mask's edge
    # may fall on such a value.
    differing = (decode_masks(a.masks, a.ori_shape) !=
                 decode_masks(b.masks, b.ori_shape))
    assert differing.sum((1, 2)).max(initial=0) <= 1
    assert torch.equal(a.labels, b.labels)
    assert torch.allclose(a.scores, b.scores, atol=1e-5)
    assert torch.allclose(a.bboxes, b.bboxes, atol=1e-3)


def flat(late):
    return [result for results in late for result in results]


@pytest.mark.parametrize('stride', [1, 2, 3, 5])
@pytest.mark.parametrize('length', [1, 4, 5, 6, 11, 13])
def test_every_frame_comes_once_and_in_order(length, stride):
    model = BrightClips(window=dict(WINDOW, stride=stride))
    late, video = run(model, frames(length))
    assert [r.frame_id for r in flat(late)] == list(range(length))
    assert video.num_frames == length
    # a last window that is moved back ends with the video
    starts = range(0, max(length - 5, 0) + 1, stride)
    moved = length > 5 and (length - 5) % stride > 0
    assert len(model.decoded) == len(starts) + moved
    assert set(model.decoded) == {min(length, 5)}
    assert sum(model.encoded) == length  # each frame once


def test_a_frame_is_settled_when_no_later_window_covers_it():
    late, _ = run(BrightClips(window=WINDOW), frames(8))
    assert [[r.frame_id for r in results] for results in late] == [
        [], [], [], [], [0], [1], [2], [3], [4, 5, 6, 7]]
    late, _ = run(BrightClips(), frames(8))
    assert [len(results) for results in late] == [0] * 8 + [8]


@pytest.mark.parametrize('model', [
    BrightClips(window=WINDOW), BrightClips(window=dict(WINDOW, stride=3)),
    BrightClips(max_bytes=2**30), tiny_model(window=WINDOW).eval(),
    tiny_model().eval()])
def test_any_partition_of_the_frames_gives_the_same(model):
    clip = frames(17, size=(64, 64)) / 50 - 2
    if isinstance(model, BrightClips):
        clip = frames(17)
    one, video = run(model, clip)
    assert len(video.tracks) > 0
    for chunk in (4, 17):
        late, other = run(model, clip, chunk)
        for a, b in zip(flat(one), flat(late), strict=True):
            same(a, b)
        assert [(t.id, t.label) for t in other.tracks] == [
            (t.id, t.label) for t in video.tracks]


def test_windows_average_what_they_say_of_a_frame():
    """In the middle of the video every frame is in five windows."""
    model = BrightClips(window=WINDOW)
    clip = frames(12)
    late, video = run(model, clip)
    shares = (clip[:, :, ::4, ::4] > 127.5).float().mean((2, 3))
    windows = shares.unfold(0, 5, 1).mean(-1)  # (8, 3)
    for label, track in enumerate(video.tracks):
        assert track.id == track.label == label
        assert track.score == pytest.approx(windows[:, label].mean().item())
    masks = decode_masks(video.tracks[0].segmentations, (32, 32))
    assert masks.shape == (12, 32, 32) and masks.any()


def test_two_videos_side_by_side():
    model = BrightClips(window=WINDOW)
    clips = frames(9), frames(9, seed=3)
    alone = [flat(run(model, clip)[0]) for clip in clips]
    sessions = [model.session() for _ in clips]
    mixed = [[], []]
    for t in range(9):
        for out, session, clip in zip(mixed, sessions, clips, strict=True):
            out += session.step(clip[t:t + 1], metas(9)[t:t + 1])
    for out, session, wanted in zip(mixed, sessions, alone, strict=True):
        for a, b in zip(out + session.flush(), wanted, strict=True):
            same(a, b)


def test_several_labels_of_an_identity_share_its_masks():
    model = tiny_model().eval()
    _, video = run(model, frames(3, size=(64, 64)) / 50 - 2)
    assert len(video.tracks) == 4 * 3  # top_k x classes, threshold 0
    first = [t for t in video.tracks if t.id == 0]
    assert [t.label for t in first] == [0, 1, 2]
    assert first[0].segmentations == first[2].segmentations


def test_classes_below_the_threshold_are_no_tracks():
    model = tiny_model(ranking=dict(score_thr=.5)).eval()
    clip = frames(3, size=(64, 64)) / 50 - 2
    _, video = run(model, clip)
    model.ranking['score_thr'] = 0.
    _, every = run(model, clip)
    above = [t.score for t in every.tracks if t.score > .5]
    assert 0 < len(above) < len(every.tracks) == 12
    assert [t.score for t in video.tracks] == above


@pytest.mark.parametrize('window', [WINDOW, None])
def test_nothing_detected(window):
    model = BrightClips(window=window)
    late, video = run(model, torch.zeros(7, 3, 32, 32))
    assert [len(r) for r in flat(late)] == [0] * 7
    assert video.num_frames == 7 and video.tracks == []


def test_an_object_that_comes_and_goes():
    clip = torch.zeros(20, 3, 32, 32)
    clip[2:6, 0, :16] = 255
    clip[13:16, 1, 16:] = 255
    _, video = run(BrightClips(
        window=WINDOW, ranking=dict(type='LatestClass', score_thr=0.)), clip)
    areas = [decode_masks([s or dict(size=[32, 32], counts=b'PP1')
                           for s in t.segmentations], (32, 32)).sum((1, 2))
             for t in video.tracks]
    assert [a.nonzero()[0].tolist() for a in areas] == [
        [2, 3, 4, 5], [13, 14, 15]]
    # windows that hold an object are those that name the frame
    assert [t.num_detections for t in video.tracks] == [10, 11]


def test_no_frame_at_all():
    session = BrightClips(window=WINDOW).session()
    assert session.step(torch.zeros(0, 3, 32, 32), []) == []
    assert session.flush() == [] and session.flush() == []
    assert session.finish().num_frames == 0


def peak(count, chunk):
    model = BrightClips(window=WINDOW)
    session, most = model.session(sink=FileSink()), 0
    clip = frames(chunk)
    for at in range(0, count, chunk):
        session.step(clip, [dict(m, frame_id=m['frame_id'] + at)
                            for m in metas(chunk)])
        if at % 10 == 0:
            most = max(most, kept_bytes(session))
    session.flush()
    assert session.finish().num_frames == count
    return most


@pytest.mark.parametrize('chunk', [1, 10])
def test_memory_does_not_grow_with_the_video(chunk):
    long, short = peak(160, chunk), peak(40, chunk)
    assert 5 * 3 * 32 * 32 * 4 < long <= short * 1.02


def test_many_frames_at_once_are_encoded_in_pieces():
    model = BrightClips(window=WINDOW)
    run(model, frames(30), chunk=30)
    assert max(model.encoded) == CHUNK


def test_a_whole_video_has_a_budget():
    each = BrightClips().bytes_per_frame((32, 32))
    model = BrightClips(max_bytes=6 * each)
    run(model, frames(6))
    with pytest.raises(ValueError, match='7 frames of 32x32 .*ClipMatching'):
        run(model, frames(7))
    with pytest.raises(ValueError, match='50 frames of 32x32'):
        # known in advance: refused at once
        model.session(dict(video_length=50)).step(frames(1), metas(1))
    run(BrightClips(max_bytes=6 * each, window=WINDOW), frames(7))


@pytest.mark.parametrize('size', [(64, 64), (96, 160)])
def test_bytes_a_frame_are_those_that_are_kept(size):
    model = tiny_model().eval()
    session = model.session()
    session.step(torch.zeros(8, 3, *size), metas(8, size))
    each = model.bytes_per_frame(size)
    # Sizes of levels, which the frames of a step share, count for each.
    levels = len(model.segmenter.encoder.level_embed)
    assert 8 * each - kept_bytes(session) == 7 * levels * 3 * 8


def test_bad_input_is_named():
    session = BrightClips(window=WINDOW).session()
    with pytest.raises(ValueError, match='2 frames came with 1 metas'):
        session.step(frames(2), metas(1))
    session.step(frames(1), metas(1))
    with pytest.raises(ValueError, match='one size'):
        session.step(frames(1, size=(64, 32)), metas(1, (64, 32)))
    session.flush()
    with pytest.raises(ValueError, match='has ended'):
        session.step(frames(1), metas(1))
    with pytest.raises(ValueError, match='1 <= stride <= length'):
        BrightClips(window=dict(WINDOW, stride=6))
