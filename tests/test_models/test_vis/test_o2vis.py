"""O2VIS: what each frame teaches, early training, who is remembered how."""
import pytest
import torch

from mmvis_memcnp.models.truth import ClipTruth, collect_clips
from mmvis_memcnp.models.vis.o2vis import (
    existence,
    existing_truth,
    similarity_loss,
)
from tests.fakes import tiny_o2vis
from tests.fakes.tiny_dvis_daq import OBJECTS, long_clip
from tests.fakes.tiny_o2vis import alone, offline, referring, tiny_model
from tests.fakes.tiny_sipmask import batch, losses, video

ROWS = {'loss_cls', 'loss_mask', 'loss_dice'}
ALL = ROWS | {f'd0.{n}' for n in ROWS}
RAND = torch.rand


@pytest.fixture(scope='module')
def model():
    """Only read: tests that change weights build their own."""
    return tiny_model()


def phased(model, early):
    model.set_progress(0 if early else 80000, 160000)
    return model


def same_points(*shape, **options):
    """Stands for torch.rand: the same for each row of the batch."""
    first, *rest = shape if isinstance(shape[0], int) else shape[0]
    row = RAND(rest, generator=torch.Generator().manual_seed(0))
    return row.expand(first, *rest).clone()


def encoded(model, *clips):
    """Queries and objects of clips."""
    inputs, samples = batch(model, *clips)
    truth = collect_clips(samples, inputs.device, 1)
    return model.segmenter(inputs.transpose(0, 1).flatten(0, 1)), truth


# -- training ---------------------------------------------------------------
@pytest.mark.parametrize('early', [True, False])
def test_losses_of_sizes_that_differ(model, early):
    out = losses(phased(model, early), long_clip(),
                 long_clip(size=(41, 90), seed=3))
    assert out.keys() == ALL | {f'existing_{n}' for n in ALL} | {
        'loss_similarity'}
    assert all(v.isfinite() and v > 0 for v in out.values())
    model.zero_grad()
    sum(out.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == name.startswith('tracker.'), name
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name


@pytest.mark.parametrize('build, names', [
    (alone, {f'existing_{n}' for n in ALL}), (referring, ALL)])
def test_losses_of_other_trackers(build, names):
    out = losses(build(), long_clip())
    assert out.keys() == names
    assert all(v.isfinite() and v > 0 for v in out.values())


@pytest.mark.parametrize('early', [True, False])
@pytest.mark.parametrize('objects', [
    [[]] * 3,  # nobody
    [OBJECTS],  # a single frame
    [[], OBJECTS[:1], []],  # who is there for a frame
])
def test_clips_with_little_in_them(model, early, objects):
    out = losses(phased(model, early), long_clip(objects))
    assert all(v.isfinite() for v in out.values())
    assert out['loss_cls'] > 0
    assert (out['loss_mask'] > 0) == any(objects)
    assert ('loss_similarity' in out) == (len(objects) > 1)


def test_a_tracker_that_learns_nothing_is_refused():
    with pytest.raises(ValueError, match='RowTracker learns nothing'):
        tiny_model(tracker=dict(
            _delete_=True, type='RowTracker', memory=dict(
                type='LatestMemory'),
            association=dict(type='HungarianAssociation')))


@pytest.mark.parametrize('make', [tiny_model, offline, referring])
def test_a_tracker_is_as_wide_as_the_queries(make, monkeypatch):
    monkeypatch.setitem(tiny_o2vis.SIZES, 'embed_dims', 64)
    with pytest.raises(ValueError, match='tracker is 64, .* 32 channels: set'):
        make()


def test_what_learns_of_what(model):
    """T_A of its results and of similarities; T_E of what was there before,
    and of the results through nothing: the matching has no gradient."""
    out = losses(phased(model, False), long_clip())
    for name, value in out.items():
        model.zero_grad()
        value.backward(retain_graph=True)
        taught = {n.split('.')[1] for n, p in model.named_parameters()
                  if p.grad is not None and p.grad.abs().sum() > 0}
        assert ('existing' in taught) == name.startswith('existing_'), name
        # The memory, which asks in T_E, is made by T_A.
        assert 'aligning' in taught, name


def test_gradients_go_back_through_the_memory(model):
    """The last frame's loss reaches the first frame's queries."""
    found, truth = encoded(phased(model, False), long_clip())
    hidden = found.hidden.clone().requires_grad_()
    frames = model.follow(found._replace(hidden=hidden), 1)
    frames[-1].rows.logits.sum().backward()
    assert (hidden.grad[0].abs().sum((1, 2)) > 0).all()


@pytest.mark.parametrize('early', [True, False])
def test_clips_do_not_know_of_each_other(model, monkeypatch, early):
    """Losses of a batch of like clips are the mean of each alone."""
    monkeypatch.setattr(torch, 'rand', same_points)
    # With objects that come later: the loss of those that were there before
    # is the square of what a cosine lacks to 1, which is half rounding.
    objects = [OBJECTS[:2]] * 2 + [OBJECTS] * 3
    clips = long_clip(objects), long_clip(objects, seed=4)
    both = losses(phased(model, early), *clips)
    one, two = (losses(model, clip) for clip in clips)
    for name in ('loss_mask', 'loss_dice', 'existing_loss_mask',
                 'loss_similarity'):
        assert both[name].item() == pytest.approx(
            (one[name] + two[name]).item() / 2, rel=1e-4), name


@pytest.mark.parametrize('early', [True, False])
def test_an_object_has_one_row_that_is_matched_where_it_is_first_seen(
        model, monkeypatch, early):
    """Objects that come later have other rows than those before."""
    phased(model, early)
    clip = long_clip([OBJECTS[:2]] * 2 + [OBJECTS] * 3)
    monkeypatch.setattr(torch, 'rand', same_points)
    found, truth = encoded(model, clip)
    seen, match = [], model.matcher.cost
    monkeypatch.setattr(model.matcher, 'cost', lambda queries, gt: (
        seen.append(gt.labels.shape) or match(queries, gt)))
    matches = []
    hold = model.matcher.match_clips
    monkeypatch.setattr(model.matcher, 'match_clips', lambda *a: (
        matches.append(hold(*a)) or matches[-1]))
    model.clip_losses(found, truth)
    # Only the first frame and that in which three appear are matched.
    assert len(seen) == (2 if early else 4)
    best = matches[0][-1, 0]
    assert len(set(best.tolist())) == 5 and (best >= 0).all()


def test_early_training_follows_the_queries(model):
    """The order is that of MinVIS and not the tracker's, and it is there in
    training alone."""
    found, _ = encoded(phased(model, True), long_clip())
    early = torch.stack([f.order for f in model.follow(found, 1)])
    state, expected = model.early.start(), []
    for t in range(5):
        tracked, state = model.early.step(state, found.queries[-1, t, None])
        expected.append(tracked.order)
    assert torch.equal(early, torch.stack(expected))
    late = [f.order for f in phased(model, False).follow(found, 1)]
    assert not torch.equal(early, torch.stack(late))


def test_phases(model):
    model.set_progress(79999, 160000)
    assert model.is_early
    model.set_progress(80000, 160000)
    assert not model.is_early
    never = tiny_model(early=None)
    never.set_progress(0, 160000)
    assert not never.is_early


# -- what is learnt, by hand -------------------------------------------------
def clip_truth(present):
    """One clip of objects that are in these frames; (G, T)."""
    present = torch.tensor(present).bool()[None]
    masks = present[..., None, None].expand(*present.shape, 2, 2)
    boxes = torch.zeros(*present.shape, 4)
    labels = torch.arange(present.shape[1])[None]
    return ClipTruth(labels, boxes, boxes, masks, present,
                     torch.ones_like(labels) > 0,
                     torch.ones(1, present.shape[2], 2))


def test_new_and_absent_objects(model):
    """Objects: always there; away in the middle; new in the third frame."""
    truth = clip_truth([[1, 1, 1, 1], [1, 0, 0, 1], [0, 0, 1, 1]])
    seen, present = existence(truth)
    assert seen[:, 0].int().tolist() == [
        [0, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1]]
    gt = model.frame_truth(truth)
    assert gt.valid.all()
    # Labels: 3 is no object.
    assert gt.labels.tolist() == [
        [0, 1, 3], [0, 3, 3], [0, 3, 2], [0, 1, 2]]
    existing = existing_truth(gt, seen, 3)
    # In the first frame T_E sees all; what is new is none to it later.
    assert existing.labels.tolist() == [
        [0, 1, 3], [0, 3, 3], [0, 3, 3], [0, 1, 2]]
    assert existing.masks.flatten(2).any(2).int().tolist() == [
        [1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1]]
    kept = tiny_model(absent_as_no_object=False).frame_truth(truth)
    assert (kept.labels == torch.arange(3)).all()


@pytest.mark.parametrize('similarity, expected', [
    # Third frame: objects 0 and 2, rows 4 and 1; 2 is new there.
    ([[0, 0, 0, 0, 1], [0, 0, 0, 0, 1]], 0),  # as wanted
    ([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], 1 / 3),  # object 0 is forgotten
    ([[0, 0, 0, 0, 1], [0, 1, 0, 0, 1]], 1 / 3),  # the new one resembles
    ([[0, 0, 1, 0, 1], [1, 0, 1, 1, 1]], 0),  # of rows without an object
])
def test_similarities(similarity, expected):
    truth = clip_truth([[1, 1, 1], [1, 0, 0], [0, 0, 1]])
    best = torch.tensor([[4, 2, 1]])
    loss = similarity_loss(torch.tensor(similarity).float()[:, None], best,
                           *existence(truth))
    assert loss.item() == pytest.approx(expected)


# -- inference --------------------------------------------------------------
def test_rows_are_identities_and_hidden_objects_stay_remembered(model):
    """A frame whose queries are no objects changes no memory that counts."""
    model.eval()
    inputs, (sample, ) = batch(model, video(2), training=False)
    session = model.session()
    metas = [f.metainfo for f in sample.video_data_samples]
    session.step(inputs[0, :1], metas[:1])
    before = session.state.rows
    assert before.occupied.shape == (1, 7)
    with torch.no_grad():
        model.tracker.cls_embed.bias[-1] += 1e4  # nothing is an object
    session.step(inputs[0, 1:], metas[1:])
    with torch.no_grad():
        model.tracker.cls_embed.bias[-1] -= 1e4
    after = session.state.rows
    torch.testing.assert_close(after.memory.embeds, before.memory.embeds)
    assert torch.equal(after.occupied, before.occupied)
    model.train()


def bytes_of(value):
    """Of all tensors in a state."""
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    return sum(map(bytes_of, getattr(value, '__dict__', {}).values()))


@pytest.mark.parametrize('build', [tiny_model, alone, referring])
def test_a_session_holds_as_much_after_160_frames_as_after_40(build):
    model = build().eval()
    inputs, (sample, ) = batch(model, video(4), training=False)
    metas = [dict(f.metainfo, batch_input_shape=inputs.shape[-2:])
             for f in sample.video_data_samples]
    with torch.no_grad():
        items = model.encode(inputs[0], metas)
    session, held = model.session(), []
    for t in range(160):
        session.take(items[t % 4], dict(metas[t % 4], frame_id=t))
        held.append(bytes_of(session.state))
    assert max(held[40:]) <= 1.05 * max(held[:40]) and held[0] > 0


def test_no_masks_are_made_to_tell_what_is_there(model, monkeypatch):
    """The tracker knows by itself, except where it has T_E alone."""
    needed = []
    for build in (alone, referring, tiny_model):
        own = build()
        needed.append(own.tracker.needs_presence)
    assert needed == [True, False, False]


# -- offline ----------------------------------------------------------------
def test_offline_reads_what_the_tracker_followed():
    """Rows, mean logits and masks are those of the online system with the
    same weights; the queries are those before the norm."""
    online, whole = tiny_model().eval(), offline().eval()
    online.load_state_dict({k: v for k, v in whole.state_dict().items()
                            if not k.startswith('refiner.')})
    inputs, (sample, ) = batch(online, video(4), training=False)
    metas = [dict(f.metainfo, batch_input_shape=inputs.shape[-2:])
             for f in sample.video_data_samples]
    with torch.no_grad():
        items = whole.encode(inputs[0], metas)
        assert not whole.track(items).masks.numel()
        rows = whole.train().track(items)
        session = online.session()
        frames = [online.advance(session.state, item, meta)[0]
                  for item, meta in zip(items, metas, strict=True)]
    torch.testing.assert_close(
        rows.logits, torch.stack([f.logits for f in frames]).mean(0))
    torch.testing.assert_close(
        rows.masks[2], frames[2].masks.values(torch.arange(7)))
    assert torch.equal(rows.frames[1], items[1].hidden[-1, 0])
    # After the norm that the heads of the tracker share.
    torch.testing.assert_close(
        whole.online.tracker.cls_embed(rows.rows).mean(0), rows.logits)


def test_offline_the_refiner_alone_learns():
    model = offline()
    sum(losses(model, long_clip()).values()).backward()
    assert {n.split('.')[0] for n, p in model.named_parameters()
            if p.grad is not None} == {'refiner'}
    assert not model.tracker.training and not model.segmenter.training
