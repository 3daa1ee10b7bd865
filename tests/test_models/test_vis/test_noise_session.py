"""Tracks that were seen too rarely leave the result."""
import torch
from mmdet.registry import MODELS

from mmvis_memcnp.models.vis import NoiseFilterSession
from mmvis_memcnp.results import TrackStore, frame_result
from tests.fakes.colour_blobs import ColourBlobVIS


def results(frames):
    """Run frames, each a set of identities, through a session."""
    model = ColourBlobVIS(with_sigmas=False)
    model.tracker = MODELS.build(dict(
        type='OnlineTracker', association=dict(type='CueAssociation'),
        memory=dict(type='LatestMemory')))
    session = NoiseFilterSession(model, None, TrackStore())
    rle = dict(size=[2, 2], counts=b'04')
    for t, ids in enumerate(frames):
        n = len(ids)
        session.record(frame_result(
            torch.tensor(sorted(ids)), torch.zeros(n, 4), torch.ones(n),
            torch.zeros(n), [rle] * n, ori_shape=(2, 2), frame_id=t))
    return session, {
        track.id: [t for t, s in enumerate(track.segmentations) if s]
        for track in session.finish().tracks
    }


def test_short_tracks_go_from_the_tenth_frame_on():
    frames = [{0}, {0, 1}, {1, 2}, {2}, {2}] + [set()] * 4
    assert results(frames)[1] == {0: [0, 1], 1: [1, 2], 2: [2, 3, 4]}
    assert results(frames + [set()])[1] == {2: [2, 3, 4]}


def test_late_ones_have_two_frames_to_come_back():
    quiet = [set()] * 10
    assert results([*quiet, {5}, set()])[1] == {5: [10]}
    assert results([*quiet, {5}, set(), set()])[1] == {}
    assert results([*quiet, {5}, set(), {5}, set(), {5}, *quiet])[1] == {
        5: [10, 12, 14]}


def test_who_comes_back_starts_afresh():
    frames = [*[set()] * 10, {5}, set(), set(), {5}, {5}, {5}]
    session, tracks = results(frames)
    assert tracks == {5: [13, 14, 15]}
    assert session._doubtful == {}


def test_what_is_kept_is_bounded():
    session, tracks = results([{t, t + 1000} for t in range(200)])
    assert len(session._doubtful) <= 6 and len(tracks) <= 6
