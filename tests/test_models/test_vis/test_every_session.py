"""What a session of any system can do: be copied, be fed in any chunks."""
import copy

import pytest
import torch

from mmvis_memcnp.results import (
    FileSink,
    MemorySink,
    SigmaMap,
    decode_masks,
)
from tests.fakes.systems import SYSTEMS, build
from tests.fakes.tiny_sipmask import batch, video

LENGTH, AT = 6, 3


@pytest.fixture(scope='module', params=SYSTEMS)
def system(request):
    """A model, frames and their metas."""
    model = build(request.param)
    inputs, (sample, ) = batch(model, video(LENGTH), training=False)
    return model, inputs[0], [f.metainfo for f in sample.video_data_samples]


def follow(session, frames, metas, chunk=1):
    """Results of the frames."""
    return [r for at in range(0, len(frames), chunk) for r in session.step(
        frames[at:at + chunk], metas[at:at + chunk])]


def answers(session):
    return session.finish().to_ytvis(1, [1, 2, 3])


def seen(results):
    """What the user gets of each frame, to the last bit."""
    return [(r.frame_id, r.instances_id.tolist(), r.labels.tolist(),
             r.scores.tolist(), r.bboxes.tolist(), r.masks) for r in results]


@pytest.mark.parametrize('sink', [MemorySink, FileSink])
def test_a_copy_goes_on_from_the_middle_of_a_video(system, sink):
    model, frames, metas = system
    whole = model.session(sink=sink())
    expected = seen(follow(whole, frames, metas) + whole.flush())
    assert len(expected) == LENGTH and any(e[1] for e in expected)

    session = model.session(sink=sink())
    begun = follow(session, frames[:AT], metas[:AT])
    other, astray = copy.deepcopy(session), copy.deepcopy(session)
    assert other.model is session.model is model
    # What one sees is nothing to the others.
    follow(astray, frames[AT:].flip(0, 3), metas[AT:])
    astray.finish()
    for each in (session, other):
        rest = follow(each, frames[AT:], metas[AT:]) + each.flush()
        assert seen(begun + rest) == expected
    assert answers(session) == answers(other) == answers(whole) != []
    assert answers(astray) != answers(whole)


def test_two_videos_side_by_side_do_not_mix(system):
    """In turns, on one model, each is as if it were alone."""
    model, frames, metas = system
    videos = (frames, frames.flip(0, 3))
    alone = [model.session() for _ in videos]
    expected = [seen(follow(one, clip, metas) + one.flush())
                for one, clip in zip(alone, videos, strict=True)]
    together, found = [model.session() for _ in videos], [[], []]
    for t in range(LENGTH):
        for one, clip, results in zip(together, videos, found, strict=True):
            results += one.step(clip[t:t + 1], metas[t:t + 1])
    for one, results in zip(together, found, strict=True):
        results += one.flush()
    assert [seen(results) for results in found] == expected
    assert expected[0] != expected[1]
    assert [answers(one) for one in together] == [
        answers(one) for one in alone]


def test_a_named_file_is_not_shared(system, tmp_path):
    model, frames, metas = system
    path = tmp_path / 'tracks'
    session = model.session(sink=FileSink(str(path)))
    follow(session, frames[:AT], metas[:AT])
    with pytest.raises(ValueError, match=f'{path}.*FileSink.. without a path'):
        copy.deepcopy(session)
    follow(session, frames[AT:], metas[AT:])
    other = model.session()
    follow(other, frames, metas)
    assert answers(session) == answers(other)


@pytest.mark.parametrize('chunk', [2, LENGTH])
def test_mixed_precision_in_chunks(system, chunk):
    model, frames, metas = system
    runs = []
    with torch.autocast('cpu', dtype=torch.bfloat16):
        for size in (1, chunk):
            session = model.session()
            runs.append(follow(session, frames, metas, size) +
                        session.flush())
    for one, other in zip(*runs, strict=True):
        assert one.frame_id == other.frame_id
        assert torch.equal(one.instances_id, other.instances_id)
        assert one.scores.dtype == one.bboxes.dtype == torch.float32
        assert torch.allclose(one.scores, other.scores, atol=1e-4)
        assert torch.allclose(one.bboxes, other.bboxes, atol=1e-2)
        differing = (decode_masks(one.masks, one.ori_shape) !=
                     decode_masks(other.masks, other.ori_shape))
        assert differing.sum((1, 2)).max(initial=0) <= 1
    exact = model.session()
    exact = follow(exact, frames, metas) + exact.flush()
    assert seen(exact) != seen(runs[0])  # it was another precision


@pytest.mark.parametrize('system', [
    'seqformer', 'instanceformer', 'dvis-daq offline', 'ifr, augmented',
    'o2vis offline', 'o2vis with T_E alone'], indirect=True)
def test_a_model_that_is_cast_as_a_whole(system):
    """What is remembered stays in single precision; layers read their own."""
    model, frames, metas = system
    cast = copy.deepcopy(model).bfloat16()
    session = cast.session()
    found = follow(session, frames[:2].bfloat16(), metas[:2])
    found += session.flush()
    assert [r.frame_id for r in found] == [0, 1]
    assert any(len(r) for r in found)
    for r in found:
        assert r.scores.dtype == torch.float32
        assert r.scores.isfinite().all() and r.bboxes.isfinite().all()


def test_what_calibration_needs_comes_with_the_results(system, request):
    """Class probability, centre-ness, uncertainty, and, if the model has a
    map, standard deviations of its size, in whichever sink."""
    model, frames, metas = system
    name = request.node.callspec.params['system']
    session = model.session()
    found = [r for r in follow(session, frames, metas) + session.flush()
             if len(r)]
    for r in found:
        share = r.centernesses if 'sipmask' in name else torch.ones(len(r))
        assert torch.allclose(r.scores, r.class_probs * share)
        assert ('centernesses' in r) == ('sipmask' in name)
        assert ('uncertainties' in r) == ('memcnp' in name)
        assert ((r.class_probs > 0) & (r.class_probs <= 1)).all()
    plain = session.finish()
    assert plain.sigma_map is None
    if 'memcnp' not in name:
        return
    try:
        model.sigma_map = SigmaMap([.1], [.03], dof=4.)
        for sink in (MemorySink(), FileSink()):
            session = model.session(sink=sink)
            mapped = [r for r in follow(session, frames, metas)
                      + session.flush() if len(r)]
            video = session.finish()
            assert video.sigma_map is model.sigma_map
            stored = list(video.iter_frames())
            assert any(len(r) for r in stored)
            for before, r in zip(found, mapped, strict=True):
                assert torch.allclose(r.box_sigmas, torch.tensor(.03))
                assert not torch.allclose(before.box_sigmas, r.box_sigmas)
                # Some tracks may have been left out.
                kept = stored[r.frame_id]
                if not len(kept):
                    continue
                rows = torch.isin(r.instances_id, kept.instances_id)
                for field in ('uncertainties', 'class_probs', 'bboxes'):
                    assert torch.equal(r[field], before[field])
                    assert torch.equal(kept[field], r[field][rows])
                assert torch.equal(kept.box_sigmas, r.box_sigmas[rows])
    finally:
        model.sigma_map = None
