"""VidEoMT: what is handed on, what is learnt, MemCNP on it, sessions."""
import pytest
import torch

from mmvis_memcnp.models.truth import collect_clips
from tests.fakes.gradients import parts_reached
from tests.fakes.tiny_dvis_daq import OBJECTS, long_clip
from tests.fakes.tiny_seqformer import kept_bytes
from tests.fakes.tiny_sipmask import batch, losses, video
from tests.fakes.tiny_videomt import tiny_frames, tiny_memcnp, tiny_model

NAMES = {'loss_cls', 'loss_mask', 'loss_dice'}
#: Before each of two blocks with queries, then behind the last.
ALL = NAMES | {f'd{i}.{n}' for n in NAMES for i in range(2)}
OWN = {'loss_cnp', 'loss_giou', 'loss_track'}


@pytest.fixture(scope='module')
def trained():
    """Only read: tests that change weights build their own."""
    return tiny_model()


@pytest.fixture(scope='module')
def model():
    """The same at inference."""
    return tiny_model().eval()


def seeded(model, *clips):
    """Losses at the same points as ever."""
    torch.manual_seed(0)
    return losses(model, *clips)


def frames_of(model, count=4, size=(64, 96), seed=0):
    inputs, (sample, ) = batch(
        model, video(count, size, seed), training=False)
    return inputs[0], [f.metainfo for f in sample.video_data_samples]


def answers(session):
    """A result without its sink."""
    return session.finish().to_ytvis(1, [1, 2, 3])


# -- training ---------------------------------------------------------------
def test_every_weight_learns(trained):
    """Of clips that differ in size, with objects that come and go."""
    out = seeded(trained, long_clip(), long_clip(size=(48, 90), seed=3))
    assert out.keys() == ALL
    assert all(v.isfinite() and v > 0 for v in out.values())
    trained.zero_grad()
    sum(out.values()).backward()
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        # Keys are shifted by their bias all alike.
        assert parameter.grad.abs().sum() > 0, name


def test_early_predictions_know_the_frame_before_alone(trained):
    """Classes before the first block with queries: in the first frame of
    learned queries, then of those that were handed on."""
    for name, value in seeded(trained, long_clip()).items():
        reached = parts_reached(trained, value)
        assert {'backbone', 'query', 'query_updater'} <= reached, name
        assert ('upscale' in reached) == ('cls' not in name), name
        assert ('cls_embed' in reached) == ('cls' in name), name


def test_an_object_keeps_the_query_of_its_first_frame(trained, monkeypatch):
    """Whatever it looks like later; before and after, nobody has it."""
    inputs, samples = batch(trained, long_clip())
    truth = collect_clips(samples, inputs.device, 1)
    seen = []
    match = trained.matcher.match

    def record(queries, frame, taught, held=None):
        found = match(queries, frame, taught, held)
        seen.append((taught.clone(), found.best.clone()))
        return found

    monkeypatch.setattr(trained.matcher, 'match', record)
    seeded(trained, long_clip())
    frames = truth.present.shape[2]
    assert len(seen) == 3 * frames  # layers
    for layer in range(3):
        own = seen[layer * frames:(layer + 1) * frames]
        for (_, before), (taught, best) in zip(own, own[1:], strict=False):
            held = before >= 0
            assert torch.equal(best[held], before[held])
            assert (best[0][taught] >= 0).all()


def test_an_object_that_is_absent_learns_an_empty_mask(trained):
    """Its query keeps the class: a clip without its second half and one in
    which all objects leave differ in the masks, and count alike."""
    stays = long_clip([OBJECTS[:2]] * 4)
    leaves = long_clip([OBJECTS[:2]] * 2 + [OBJECTS[:1]] * 2)
    one, two = seeded(trained, stays), seeded(trained, leaves)
    for name in ALL:
        same = torch.equal(one[name], two[name])
        assert same == ('cls' in name), name


def test_no_objects(trained):
    """Classes alone learn."""
    out = seeded(trained, long_clip([[]] * 3))
    for name, value in out.items():
        assert (value > 0) == ('cls' in name), name
    sum(out.values()).backward()


def test_bfloat16(trained):
    full = seeded(trained, long_clip())
    with torch.autocast('cpu', torch.bfloat16):
        half = seeded(trained, long_clip())
    for name, value in half.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(full[name].item(), rel=.25)
    sum(half.values()).backward()


def test_training_needs_a_matcher():
    with pytest.raises(ValueError, match='set matcher in the config'):
        losses(tiny_model(matcher=None), long_clip())


# -- inference ----------------------------------------------------------------
def test_queries_are_handed_on(model):
    """A frame says something else after another one, and the state holds
    nothing but what the last frame left."""
    frames, metas = frames_of(model)
    alone = model.session()
    alone.step(frames[1:2], metas[1:2])
    both = model.session()
    both.step(frames[:2], metas[:2])
    assert not torch.allclose(alone.state.queries, both.state.queries)
    assert both.state.queries.shape == (1, 7, 32)
    again = model.session()
    again.step(frames[1:2], metas[1:2])
    assert torch.equal(alone.state.queries, again.state.queries)


def test_without_an_updater_frames_are_alone(model):
    """Zero weights hand nothing on: then it is the segmenter of frames."""
    silent = tiny_model().eval()
    for parameter in silent.query_updater.parameters():
        torch.nn.init.zeros_(parameter)
    frames, metas = frames_of(silent)
    tokens = silent.encode(frames, metas)
    state = silent.begin({})
    with torch.no_grad():
        expected = silent.segmenter(frames)
        for t, (item, meta) in enumerate(zip(tokens, metas, strict=True)):
            (found, ) = silent.advance(state, item, meta)
            torch.testing.assert_close(
                found.logits, expected.logits[-1, t], rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('build', [tiny_model, tiny_memcnp])
def test_a_network_that_was_exported(build):
    """It takes frames as a whole and, of the first one, zeros; boxes come as a
    list."""
    model, other = build().eval(), build().eval()
    taken = []

    def network(frames, sizes, carried=None):
        taken.append((frames.shape, carried is None))
        found = other.network(
            frames, sizes, torch.zeros(1, 7, 32) if carried is None
            else carried)
        return found._replace(boxes=found.boxes and list(found.boxes))

    frames, metas = frames_of(model)
    before = model.session()
    before.step(frames, metas)
    model.exported = network
    after = model.session()
    after.step(frames, metas)
    assert answers(before) == answers(after)
    assert taken == [((1, *frames.shape[1:]), t == 0) for t in range(4)]


@pytest.mark.parametrize('size', [(64, 96), (41, 90), (72, 40)])
def test_any_size_gives_masks_of_the_frame(model, size):
    frames, metas = frames_of(model, 3, size)
    session = model.session()
    results = session.step(frames, metas)
    assert all(tuple(m['size']) == r.ori_shape for r in results
               for m in r.masks)
    assert any(len(r.masks) for r in results)
    tracks = session.finish().tracks
    assert len(tracks) == 10
    scores = [t.score for t in tracks]
    assert scores == sorted(scores, reverse=True)


def test_chunks_do_not_matter(model):
    frames, metas = frames_of(model, 5)
    found = []
    for chunk in (1, 2, 5):
        session = model.session()
        for at in range(0, 5, chunk):
            session.step(frames[at:at + chunk], metas[at:at + chunk])
        found.append([(x['category_id'], x['segmentations'])
                      for x in answers(session)])
    assert found[0] == found[1] == found[2]


def test_fewer_masks_leave_scores_alone(model):
    few = tiny_model(num_shown=2).eval()
    frames, metas = frames_of(model)
    one, two = model.session(), few.session()
    results = [s.step(frames, metas) for s in (one, two)]
    assert max(len(r.masks) for r in results[1]) <= 2 < max(
        len(r.masks) for r in results[0])
    whole, less = ([x['score'] for x in answers(s)] for s in (one, two))
    # Tracks without a mask are none.
    assert 0 < len(less) < len(whole) and set(less) <= set(whole)
    with pytest.raises(ValueError, match='num_shown must be at least 1'):
        tiny_model(num_shown=0)


def test_memory_of_a_session_does_not_grow(model):
    frames, metas = frames_of(model, 6)
    session, sizes = model.session(), []
    for t in range(6):
        session.step(frames[t:t + 1], metas[t:t + 1])
        sizes.append(kept_bytes(session.state))
    assert len(set(sizes[1:])) == 1 and sizes[-1] > 0


# -- MemCNP -------------------------------------------------------------------
def test_without_memcnp_nothing_of_it_is_there(trained):
    state = tiny_model(memcnp=None).state_dict()
    assert state.keys() == trained.state_dict().keys()
    assert not [k for k in state if 'memcnp' in k]
    assert trained.memcnp is None


def test_memcnp_starts_as_the_plain_host(model):
    """With a closed gate it says the same, and has boxes besides."""
    own = tiny_memcnp().eval()
    torch.nn.init.zeros_(own.segmenter.memcnp.gate)
    frames, metas = frames_of(model)
    plain, other = model.session(), own.session()
    results = [s.step(frames, metas) for s in (plain, other)]
    assert answers(plain) == answers(other)
    for one, two in zip(*results, strict=True):
        assert one.masks == two.masks and 'box_sigmas' not in one
        assert (two.box_sigmas > 0).all() and len(two.box_sigmas)
        assert ((two.bboxes[:, 2:] >= two.bboxes[:, :2]).all())
    torch.nn.init.ones_(own.segmenter.memcnp.gate)
    opened = own.session()
    opened.step(frames, metas)
    assert answers(opened) != answers(model.session())


def test_memcnp_learns_and_moves_its_memory():
    own = tiny_memcnp()
    before = own.memcnp.bank.items.clone()
    out = seeded(own, long_clip(), long_clip(seed=3))
    assert out.keys() == ALL | OWN
    assert all(v.isfinite() for v in out.values())
    assert not torch.equal(own.memcnp.bank.items, before)
    own.zero_grad()
    sum(out.values()).backward()
    for name, parameter in own.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_memcnp_leaves_the_losses_of_the_host_alone(trained):
    """As long as its gate is closed."""
    own = tiny_memcnp()
    torch.nn.init.zeros_(own.segmenter.memcnp.gate)
    host, both = (seeded(x, long_clip()) for x in (trained, own))
    for name in ALL:
        assert torch.equal(host[name], both[name]), name


# -- first stage --------------------------------------------------------------
def test_its_weights_start_a_video_model():
    """All that frames teach has a place; the updater alone is new."""
    frames, clips = tiny_frames(), tiny_model(seed=1)
    found = clips.load_state_dict(frames.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert set(found.missing_keys) == {
        'query_updater.weight', 'query_updater.bias'}


def test_frames_teach_all_of_it():
    stage = tiny_frames()
    out = seeded(stage, long_clip(), long_clip(seed=3))
    assert out.keys() == ALL
    sum(out.values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0
               for p in stage.parameters())
