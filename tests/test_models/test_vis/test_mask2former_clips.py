"""What Mask2Former-VIS and IFR share: losses of clips, videos, windows."""
import copy

import pytest
import torch

from tests.fakes import tiny_ifr, tiny_mask2former, tiny_mask2former_vis
from tests.fakes.tiny_mask2former_vis import clips_of, frames_of
from tests.fakes.tiny_seqformer import clip, kept_bytes
from tests.fakes.tiny_sipmask import batch, losses

NAMES = {'loss_cls', 'loss_mask', 'loss_dice'}
#: The learned queries, then two layers.
ALL = NAMES | {f'd{i}.{n}' for n in NAMES for i in range(2)}
BUILD = dict(m2f=tiny_mask2former_vis.tiny_model, ifr=tiny_ifr.tiny_model)
# Their windows, as shipped: masks alone, or sure matches.
WINDOWS = dict(
    m2f=dict(type='ClipMatching', length=3, stride=1),
    ifr=dict(type='ClipMatching', length=2, stride=1, match_thr=0.05))


@pytest.fixture(scope='module', params=BUILD)
def system(request):
    return request.param


@pytest.fixture(scope='module')
def model(system):
    """Only read."""
    return BUILD[system]().eval()


def test_clips_of_a_batch_do_not_meet(model):
    """Two clips at once and one by one; sides that the strides do not
    divide."""
    clips = clips_of(2, 3, (41, 90))
    with torch.no_grad():
        both = model.segment(clips)
        for b in range(2):
            alone = model.segment(clips[b:b + 1])
            torch.testing.assert_close(alone.logits[:, 0], both.logits[:, b])
            torch.testing.assert_close(alone.masks()[0], both.masks()[b])
    assert both.masks().shape == (2, 7, 3, 11, 23)


# -- training ---------------------------------------------------------------
def test_losses_of_clips(model):
    trained = copy.deepcopy(model).train()
    torch.manual_seed(0)
    out = losses(trained, clip(), clip(size=(41, 90), seed=3))
    assert out.keys() == ALL
    assert all(v.isfinite() and v > 0 for v in out.values())
    sum(out.values()).backward()
    for name, parameter in trained.named_parameters():
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name


def test_without_objects_classes_alone_learn(model):
    trained = copy.deepcopy(model).train()
    out = losses(trained, clip([[], [], []]))
    sum(out.values()).backward()
    for name, value in out.items():
        assert (value > 0) == ('cls' in name), name


def test_training_needs_a_matcher(system):
    with pytest.raises(ValueError, match='set matcher in the config'):
        losses(BUILD[system](matcher=None), clip())


@pytest.mark.parametrize('name, settings', [
    ('m2f', {}), ('ifr', dict(scales=(1., .5)))])
def test_bfloat16(name, settings):
    model = BUILD[name](**settings)
    with torch.autocast('cpu', torch.bfloat16):
        half = losses(model, clip())
        out = model.eval()(*batch(model, clip(), training=False),
                           mode='predict')[0].pred_tracks
    assert all(v.dtype == torch.float32 and v.isfinite()
               for v in half.values())
    assert len(out.tracks) == 10


# -- sessions ---------------------------------------------------------------
def test_a_video_has_the_best_pairs(model):
    """Ten of 7 queries x 3 classes, best first, by the definition."""
    frames, metas = frames_of(model, 3)
    session = model.session()
    session.step(frames, metas)
    tracks = session.finish().tracks
    with torch.no_grad():
        logits = model.segment(frames[None]).logits[-1, 0]
    # IFR has sigmoids, Mask2Former-VIS a logit of no object.
    scores = logits.sigmoid() if logits.shape[1] == 3 else \
        logits.softmax(-1)[:, :-1]
    best = scores.flatten().topk(10)
    assert [t.score for t in tracks] == pytest.approx(best.values.tolist())
    assert [t.label for t in tracks] == (best.indices % 3).tolist()


def test_a_window_as_long_as_the_video_is_the_video(system, model):
    frames, metas = frames_of(model, 3)
    windows = BUILD[system](window=dict(WINDOWS[system], length=3)).eval()
    results = []
    for each in (model, windows):
        session = each.session()
        session.step(frames, metas)
        results.append(session.finish().to_ytvis(1, [1, 2, 3]))
    assert results[0] == results[1]
    session = windows.session()
    assert [len(session.step(frames[t % 3:t % 3 + 1], metas[:1]))
            for t in range(6)] == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize('number', [
    0, -1,  # -1 would leave one query out
    '4GiB',  # text of a command line fails after hours, in validation
    2.5, True])
@pytest.mark.parametrize('name', ['top_k', 'max_bytes'])
def test_numbers_of_things(name, number):
    with pytest.raises(ValueError, match=f'{name} must be a whole number'):
        BUILD['m2f'](**{name: number})


def test_queries_beyond_the_ranking_become_no_instances():
    """Unless they are asked for, or the ranking keeps all pairs."""
    config = tiny_mask2former_vis.tiny_clip_config()
    del config['top_k']
    for ranking, most in ((dict(num_pairs=4), 4), ({}, 7)):
        made = tiny_mask2former.build(dict(
            config, ranking=dict(type='LatestClass', **ranking)))
        assert len(made.candidates(torch.rand(7, 3))) == most


@pytest.mark.parametrize('name, size, settings', [
    ('m2f', (64, 64), {}), ('m2f', (41, 90), {}), ('ifr', (41, 90), {}),
    ('ifr', (41, 90), dict(scales=(1., .5)))])
def test_bytes_of_a_frame(name, size, settings):
    made = BUILD[name](**settings).eval()
    frames, metas = frames_of(made, 8, size=size)
    session = made.session()
    session.step(frames, metas)
    assert kept_bytes(session) == 8 * made.bytes_per_frame(
        tuple(frames.shape[-2:]))


def test_a_video_that_is_too_long_is_refused(system, model):
    frames, metas = frames_of(model, 2)
    each = model.bytes_per_frame((64, 64))
    session = BUILD[system](max_bytes=2 * each).eval().session()
    session.step(frames, metas)
    with pytest.raises(ValueError, match='take the video in windows'):
        session.step(frames[:1], metas[:1])


@pytest.mark.parametrize('system, counts', [
    ('m2f', (12, 30)), ('ifr', (40, 160))])
def test_windows_keep_no_more_of_a_longer_video(system, counts):
    """Bytes after so many frames."""
    made = BUILD[system](window=WINDOWS[system]).eval()
    frames, metas = frames_of(made, 3)
    with torch.no_grad():
        items = made.encode(frames, metas)
    session, kept = made.session(), []
    for t in range(counts[1]):
        session.take(items[t % 3], dict(
            metas[t % 3], frame_id=t, batch_input_shape=frames.shape[-2:]))
        if t + 1 in counts:
            kept.append(kept_bytes(session.state))
    assert kept[0] == kept[1] > 0
