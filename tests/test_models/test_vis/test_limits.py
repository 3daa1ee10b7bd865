"""Live tracks and their age are bounded by options of one name."""
import pytest
import torch

from tests.fakes.systems import SYSTEMS, build
from tests.fakes.tiny_sipmask import batch, video

LENGTH = 5
#: Systems whose tracks start and end; in the others their number is fixed.
STARTING = [name for name in SYSTEMS if name.startswith(
    ('sipmask', 'idol', 'ctvis', 'dvis-daq')) and 'offline' not in name]


def limits(model):
    """What has ``max_tracks`` and ``max_gap``: the tracker or the system."""
    return model if hasattr(model, 'max_tracks') else model.tracker


def live(state):
    """Identities that are remembered, and frames since each was found."""
    if hasattr(state, 'missed'):
        return state.ids.tolist(), state.missed.tolist()
    tracks = state.tracks
    return tracks.ids.tolist(), (
        tracks.frame - 1 - tracks.last_seen).tolist()


def watch(model):
    """The same after each frame."""
    inputs, (sample, ) = batch(model, video(LENGTH), training=False)
    frames = torch.cat((inputs[0], inputs[0].flip(3) * .2, inputs[0]))
    metas = [f.metainfo for f in sample.video_data_samples] * 3
    session, found = model.session(), []
    for frame, meta in zip(frames, metas, strict=True):
        session.step(frame[None], [meta])
        found.append(live(session.state))
    return found


@pytest.mark.parametrize('name', STARTING)
def test_live_tracks(name):
    model = build(name)
    limits(model).max_tracks, limits(model).max_gap = 1000, 1000
    free = watch(model)
    most = max(len(ids) for ids, _ in free)
    assert most > 2
    limits(model).max_tracks = 2
    assert {len(ids) for ids, _ in watch(model)} <= {0, 1, 2}
    limits(model).max_tracks = most
    assert watch(model) == free  # a limit that is not reached is none


@pytest.mark.parametrize('name', STARTING)
@pytest.mark.parametrize('gap', [1, 3])
def test_age(name, gap):
    """A track that was not found in ``max_gap`` frames has gone."""
    model = build(name)
    limits(model).max_tracks, limits(model).max_gap = 1000, gap
    found = watch(model)
    assert max(missed for _, frame in found for missed in [0, *frame]) < gap
    assert any(ids for ids, _ in found)


@pytest.mark.parametrize('name', ['minvis', 'o2vis', 'tracker of DVIS++',
                                  'eomt', 'videomt'])
def test_rows_are_as_many_as_queries(name):
    model = build(name)
    inputs, (sample, ) = batch(model, video(LENGTH), training=False)
    session = model.session()
    metas = [f.metainfo for f in sample.video_data_samples]
    ids = {i for r in session.step(inputs[0], metas)
           for i in r.instances_id.tolist()}
    own = model.segmenter
    embeds = own.query if hasattr(own, 'query') else own.decoder.query_feat
    assert ids <= set(range(len(embeds.weight))) and ids
