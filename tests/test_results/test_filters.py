"""Tracks that were seen too rarely leave the result."""
import pytest

from mmvis_memcnp.results import ShortTracks


def follow(frames, **options):
    """Frames that are kept of each identity, and the filter."""
    track_filter, kept = ShortTracks(**options), {}
    for t, ids in enumerate(frames):
        for one in ids:
            kept.setdefault(one, []).append(t)
        for one in track_filter.step(ids):
            kept.pop(one)
    return track_filter, kept


START = [{0}, {0, 1}, {1, 2}, {2}, {2}]
QUIET = [set()] * 10


@pytest.mark.parametrize('frames, kept', [
    # nothing is dropped before the tenth frame
    ([*START, *QUIET[:4]], {0: [0, 1], 1: [1, 2], 2: [2, 3, 4]}),
    # then those with fewer than three frames go
    ([*START, *QUIET[:5]], {2: [2, 3, 4]}),
    # a late one has two frames to come back,
    ([*QUIET, {5}, set()], {5: [10]}),
    # and is dropped after them,
    ([*QUIET, {5}, set(), set()], {}),
    # unless it was seen in between,
    ([*QUIET, {5}, set(), {5}, set(), {5}, *QUIET], {5: [10, 12, 14]}),
    # and starts afresh when it comes back later
    ([*QUIET, {5}, set(), set(), {5}, {5}, {5}], {5: [13, 14, 15]}),
])
def test_short_tracks(frames, kept):
    assert follow(frames)[1] == kept


def test_knobs_do_what_they_say():
    frames = [*QUIET, {5}, {5}, *QUIET]
    assert follow(frames)[1] == {}
    assert follow(frames, min_detections=2)[1] == {5: [10, 11]}
    assert follow(frames, max_missing=11)[1] == {5: [10, 11]}
    assert follow(frames, from_frame=99)[1] == {5: [10, 11]}


def test_what_is_kept_is_bounded():
    track_filter, kept = follow([{t, t + 1000} for t in range(200)])
    assert len(track_filter._doubtful) <= 6 and len(kept) <= 6
