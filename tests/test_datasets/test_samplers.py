import numpy as np
import pytest

from mmvis_memcnp.datasets import (
    ClipSampler,
    KeyRefSampler,
    NearFarClipSampler,
    VideoFrameSampler,
)
from mmvis_memcnp.datasets.samplers import video_frame_sampler

FRAMES = np.arange(20)


def references(sampler, key, annotated, num_frames=20, draws=300):
    np.random.seed(0)
    found = set()
    for _ in range(draws):
        clip, is_key = sampler.sample(key, np.array(annotated), num_frames)
        assert clip[0] == key and is_key == [True, False]
        found.add(clip[1])
    return found


@pytest.mark.parametrize('key, annotated, expected', [
    (10, FRAMES, {5, 6, 7, 8, 9, 11, 12, 13, 14, 15}),
    (0, FRAMES, {1, 2, 3, 4, 5}),
    (19, FRAMES, {14, 15, 16, 17, 18}),
    (10, [1, 8, 10, 15, 16], {8, 15}),
    # No other one near: any annotated frame of the video.
    (10, [0, 10, 19], {0, 10, 19}),
    (10, [10], {10}),
])
def test_reference_frames(key, annotated, expected):
    assert references(KeyRefSampler(5), key, annotated) == expected


def test_reference_anywhere():
    found = references(KeyRefSampler(None), 10, FRAMES)
    assert found == set(range(20)) - {10}


def test_references_are_uniform():
    np.random.seed(0)
    drawn = [KeyRefSampler(2).sample(5, FRAMES, 20)[0][1]
             for _ in range(4000)]
    counts = np.bincount(drawn, minlength=20)[[3, 4, 6, 7]]
    assert counts.sum() == 4000
    assert np.abs(counts / 4000 - 0.25).max() < 0.03


def test_draws_follow_the_seed():
    def draw(seed):
        np.random.seed(seed)
        return [KeyRefSampler(5).sample(10, FRAMES, 20) for _ in range(10)]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


@pytest.mark.parametrize('key', [0, 7, 19])
def test_clips_are_sorted_and_near(key):
    sampler = ClipSampler(num_frames=4, frame_range=6)
    seen = set()
    for _ in range(200):
        clip, is_key = sampler.sample(key, FRAMES, 20)
        assert clip == sorted(set(clip)) and len(clip) == 4
        assert max(abs(f - key) for f in clip) <= 6
        assert [f for f, k in zip(clip, is_key, strict=True) if k] == [key]
        seen.update(clip)
    assert seen == {f for f in range(20) if abs(f - key) <= 6}


def test_short_videos_repeat_frames():
    clip, is_key = ClipSampler(5).sample(0, np.array([0]), 1)
    assert clip == [0] * 5 and sum(is_key) == 1
    clip, _ = ClipSampler(5).sample(1, np.array([0, 1, 2]), 3)
    assert len(clip) == 5 and set(clip) == {0, 1, 2}


def test_frames_may_be_drawn_twice():
    """SeqFormer: with replacement, the key frame apart, time order."""
    np.random.seed(0)
    sampler = ClipSampler(5, 10, empty_frames=True, replace=True)
    clips = [sampler.sample(20, np.array([20]), 60) for _ in range(400)]
    drawn = np.array([[f for f, key in zip(*clip, strict=True) if not key]
                      for clip in clips])
    assert set(drawn.ravel()) == set(range(10, 31)) - {20}
    assert (np.diff(drawn) == 0).any() and (np.diff(drawn) >= 0).all()
    assert all(frames[is_key.index(True)] == 20 for frames, is_key in clips)
    # a video of one frame
    assert sampler.sample(0, np.array([0]), 1)[0] == [0] * 5


@pytest.mark.parametrize('reverse_prob, shares', [
    (0., {0.}), (1., {1.}), (.5, {0., 1.})])
def test_clips_may_run_backwards(reverse_prob, shares):
    """The key frame is marked where it stands then."""
    np.random.seed(0)
    sampler = ClipSampler(3, 2, reverse_prob=reverse_prob)
    seen = set()
    for _ in range(20):
        clip, is_key = sampler.sample(3, np.arange(9), 9)
        assert clip[is_key.index(True)] == 3 and is_key.count(True) == 1
        backwards = clip == sorted(clip, reverse=True)
        assert backwards or clip == sorted(clip)
        seen.add(float(backwards))
    assert seen == shares


def test_draws_are_the_same_without_reversal():
    drawn = []
    for options in ({}, dict(reverse_prob=0.)):
        np.random.seed(3)
        sampler = ClipSampler(3, 4, **options)
        drawn.append([sampler.sample(4, np.arange(9), 9) for _ in range(5)])
    assert drawn[0] == drawn[1]


def test_empty_frames_are_optional():
    np.random.seed(0)
    annotated = np.array([2, 3, 4])
    without = ClipSampler(2, 4)
    with_empty = ClipSampler(2, 4, empty_frames=True)
    drawn = [{f for _ in range(100) for f in s.sample(3, annotated, 8)[0]}
             for s in (without, with_empty)]
    assert drawn == [{2, 3, 4}, set(range(8))]


@pytest.mark.parametrize('make', [lambda: KeyRefSampler(0),
                                  lambda: ClipSampler(0)])
def test_impossible_settings(make):
    with pytest.raises(ValueError, match='at least 1'):
        make()


class Videos:

    def __init__(self, lengths):
        self.videos = [dict(length=n) for n in lengths]


def served(monkeypatch, lengths, world_size):
    shares = []
    for rank in range(world_size):
        monkeypatch.setattr(video_frame_sampler, 'get_dist_info',
                            lambda rank=rank: (rank, world_size))
        sampler = VideoFrameSampler(Videos(lengths))
        share = list(sampler)
        assert len(share) == len(sampler)
        shares.append(share)
    return shares


def test_one_process_serves_all_in_order(monkeypatch):
    assert served(monkeypatch, [2, 1], 1) == [[(0, 0), (0, 1), (1, 0)]]


def test_processes_share_whole_videos(monkeypatch):
    lengths = [3, 10, 1, 4, 2]
    shares = served(monkeypatch, lengths, 2)
    assert sorted(shares[0] + shares[1]) == [
        (v, f) for v, n in enumerate(lengths) for f in range(n)]
    videos = [{v for v, _ in share} for share in shares]
    assert videos[0].isdisjoint(videos[1])
    assert [len(share) for share in shares] == [10, 10]
    assert all(share == sorted(share) for share in shares)


def test_more_processes_than_videos(monkeypatch):
    assert served(monkeypatch, [2], 3) == [[(0, 0), (0, 1)], [], []]


@pytest.mark.parametrize('num_frames', [1, 2, 3, 4, 6])
@pytest.mark.parametrize('length', [1, 2, 5, 40])
def test_near_far_clips(num_frames, length):
    np.random.seed(0)
    sampler = NearFarClipSampler(num_frames)
    for key in {0, length // 2, length - 1}:
        for _ in range(20):
            clip, is_key = sampler.sample(key, np.array([key]), length)
            assert len(clip) == num_frames and clip == sorted(clip)
            assert sum(is_key) == 1 and clip[is_key.index(True)] == key
            assert 0 <= clip[0] and clip[-1] < length
            near = [t for t in clip if abs(t - key) <= 3]
            assert len(near) >= min(num_frames, 3)
            if length == 40:
                far = set(clip) - set(near)
                assert num_frames > 3 or not far


def test_near_far_takes_frames_from_everywhere():
    np.random.seed(0)
    sampler = NearFarClipSampler(4)
    seen = {t for _ in range(500)
            for t in sampler.sample(20, np.array([20]), 40)[0]}
    assert seen >= set(range(40)) - {20}
    with pytest.raises(ValueError, match='at least 1'):
        NearFarClipSampler(0)
