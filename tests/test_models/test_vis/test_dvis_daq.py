"""DVIS-DAQ: its two stages of training, who is followed for how long."""
import copy

import pytest
import torch

from mmvis_memcnp.models.truth import collect_clips
from tests.fakes.tiny_dvis_daq import (
    OBJECTS,
    long_clip,
    tiny_memcnp,
    tiny_model,
)
from tests.fakes.tiny_sipmask import batch, clip, losses, video

RAND = torch.rand
ROWS = {'loss_cls', 'loss_mask', 'loss_dice'}
DAQ = 'mmvis_memcnp.models.vis.anchor_online'


@pytest.fixture(scope='module')
def model():
    """Only read: tests that change weights build their own."""
    return tiny_model()


def staged(model, stage):
    """The model in a stage; many rows go on in the second."""
    model.set_progress([0, 10000][stage], 160000)
    model.carry_thr = .5
    return model


def same_points(*shape, **options):
    """Stands for torch.rand: the same for each row of the batch."""
    first, *rest = shape if isinstance(shape[0], int) else shape[0]
    row = RAND(rest, generator=torch.Generator().manual_seed(0))
    return row.expand(first, *rest).clone()


def followed(model, *clips):
    """Rows and slots of clips, frame by frame."""
    inputs, samples = batch(model, *clips)
    count, frames = inputs.shape[:2]
    order = torch.arange(count * frames).view(count, frames).T.flatten()
    objects = collect_clips(samples, inputs.device, 1)
    found = model.segmenter(inputs.flatten(0, 1)[order])
    return model.follow(found, objects.frames().take(order), count,
                        objects.sizes.flatten(0, 1)[order])


# -- training ---------------------------------------------------------------
@pytest.mark.parametrize('stage', [0, 1])
def test_losses_of_sizes_that_differ(model, stage):
    out = losses(staged(model, stage), long_clip(),
                 long_clip(size=(41, 90), seed=3))
    layers = ROWS | {f'd{i}.{n}' for n in ROWS for i in range(2)}
    slots = ROWS | {f'd0.{n}' for n in ROWS}
    assert out.keys() == layers | {f'slot_{n}' for n in slots}
    assert all(v.isfinite() and v >= 0 for v in out.values())
    assert all(out[n] > 0 for n in ROWS)
    model.zero_grad()
    sum(out.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == name.startswith('tracker.'), name
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name


def test_rows_and_slots_learn_of_their_own_losses(model):
    out = losses(staged(model, 0), long_clip())
    for name, value in out.items():
        model.zero_grad()
        value.backward(retain_graph=True)
        taught = {n.split('.')[1] for n, p in model.named_parameters()
                  if p.grad is not None and p.grad.abs().sum() > 0}
        assert ('slot_layers' in taught) == name.startswith('slot_'), name
        assert ('mask_proj' in taught) == ('cls' not in name), name


@pytest.mark.parametrize('stage, frames', [(0, 2), (1, 5)])
def test_frames_of_a_stage(model, monkeypatch, stage, frames):
    """In a row, and from the same place in pixels and annotations."""
    seen = []
    monkeypatch.setattr(
        model, 'clip_losses', lambda found, truth, clips, sizes: seen.append(
            (len(found.mask_features), truth, clips)) or {})
    torch.manual_seed(2)
    for _ in range(16):
        losses(staged(model, stage), long_clip(), long_clip(seed=1))
    assert all(x[0] == 2 * frames == 2 * len(x[1].valid) // 2
               for x in seen) and {x[2] for x in seen} == {2}
    # The second object is away in frame 2: where, tells where a clip began.
    away = {tuple((~x[1].valid[::2, 1]).nonzero()[:, 0].tolist())
            for x in seen}
    assert away == ({(), (0, ), (1, )} if stage == 0 else {(2, )})


@pytest.mark.parametrize('stage', [0, 1])
def test_clips_do_not_know_of_each_other(model, monkeypatch, stage):
    """Rows of a batch are those of each clip alone, though clips carry
    different numbers of them; what is padded learns nothing."""
    staged(model, stage)
    clips = long_clip(), long_clip([OBJECTS[:2]] * 5, seed=4)
    monkeypatch.setattr(torch, 'rand', same_points)
    both = followed(model, *clips)
    padded = 0
    for b, one in enumerate(clips):
        for joint, alone in zip(both, followed(model, one), strict=True):
            for mine, own in zip(joint, alone, strict=True):
                if own is None:
                    assert mine is None
                    continue
                real = ~mine.padded[b]
                padded += int(mine.padded[b].sum())
                for name in ('logits', 'mask_embeds'):
                    torch.testing.assert_close(
                        getattr(mine, name)[:, b, real],
                        getattr(own, name)[:, 0], rtol=1e-5, atol=1e-5)
                place = torch.cat((real.cumsum(0) - 1, -torch.ones(1).long()))
                count = own.best.shape[1]
                assert place[mine.best[b, :count]].tolist() == \
                    own.best[0].tolist()
                assert (mine.best[b, count:] == -1).all()
                assert mine.counted[b, :count].tolist() == \
                    own.counted[0].tolist()
    assert padded > 0


@pytest.mark.parametrize('stage', [0, 1])
@pytest.mark.parametrize('build', [tiny_model, tiny_memcnp])
def test_sums_of_a_batch_are_those_of_its_clips(build, monkeypatch, stage):
    model = staged(build(), stage)
    start = copy.deepcopy(model.state_dict())
    clips = long_clip(), long_clip([OBJECTS[:2]] * 5, seed=4)
    monkeypatch.setattr(torch, 'rand', same_points)

    def sums(*some):
        """Before they are divided, of rows and of slots."""
        model.load_state_dict(start)  # a step of training moves a memory
        frames, found = followed(model, *some), []
        out = losses(model, *some)
        for prefix, seen in zip(('', 'slot_'), zip(*frames, strict=True),
                                strict=True):
            kept = [x for x in seen if x is not None]  # none at first
            weight = sum(float((~x.padded).sum()) * .1 +
                         .9 * float((x.best >= 0).sum()) for x in kept)
            count = sum(float(x.counted.sum()) for x in kept)
            found += [out[f'{prefix}loss_cls'] * weight,
                      out[f'{prefix}loss_mask'] * count,
                      out[f'{prefix}loss_dice'] * count]
        return torch.stack(found)

    model.num_frames = (5, 5)
    # Points of the losses are drawn a mask: the same for all of them.
    one, two, both = sums(clips[0]), sums(clips[1]), sums(*clips)
    torch.testing.assert_close(one + two, both, rtol=1e-5, atol=1e-5)
    assert (both > 0).all()


@pytest.mark.parametrize('stage', [0, 1])
def test_objects_keep_their_rows(model, stage):
    """Who goes on is the same row of the next frame's rows."""
    frames = followed(staged(model, stage), long_clip())
    for t, (rows, slots) in enumerate(frames):
        assert rows.best.shape == (1, 5)
        found = rows.best[0] >= 0
        assert found.tolist() == [True, t != 2, True, True, True]
        assert rows.best[0][found].unique().numel() == int(found.sum())
        assert (slots is None) == (t == 0)
        if slots is not None:
            # A slot a track, in the same place.
            there = slots.best[0] >= 0
            assert (slots.best[0] == rows.best[0])[there].all()
            tracks = rows.logits.shape[2] - 7
            assert slots.logits.shape[2] == tracks + 2
            assert (rows.best[0][found & ~slots.counted[0]] >= tracks).all()


def test_half_of_the_objects_are_to_be_found_anew(model):
    """Stage 1: of n matched rows the best n - n // 2 go on, in place."""
    staged(model, 0)
    score = torch.tensor([[.9, .2, .8, .7, .6], [.1, .2, .3, .4, .5]])
    logits = torch.stack((score, 1 - score), -1).log()
    objects = torch.tensor([[-1, 0, 1, 2, -1], [3, -1, 0, 1, 2]])
    assert model._keep(logits, objects).tolist() == [
        [False, False, True, True, False],    # 3 of them: one is left out
        [False, False, False, True, True]]    # 4: two


def test_rows_go_on_by_their_scores(model):
    """Stage 2: matched or not."""
    score = torch.tensor([[.9, .2, .51, .49]])
    logits = torch.stack((score, 1 - score), -1).log()
    assert staged(model, 1)._keep(
        logits, torch.tensor([[-1, 0, -1, -1]])).tolist() == [
            [True, False, True, False]]


def test_one_of_many_seems_to_have_gone(model):
    """Of more than three objects that go on; the queries nearest to it are
    hidden, and its slot says no object."""
    staged(model, 1)
    inputs, samples = batch(model, long_clip(), long_clip(seed=1))
    gt = collect_clips(samples, inputs.device, 1).frames().take(
        slice(None, None, 5))
    frame = model.segmenter(inputs[:, 0])
    carried = torch.tensor([[True] * 4 + [False],
                            [True] * 3 + [False] * 2])
    seen = set()
    for _ in range(30):
        gone, hidden = model._pretend_gone(frame, gt, carried)
        assert gone.sum(1).tolist() == [1, 0]  # of three none
        assert not (gone & ~carried).any()
        assert hidden.shape == (2, 7) and not hidden[1].any()
        seen.add(int(gone[0].nonzero()))
    assert seen == {0, 1, 2, 3}
    gone, hidden = staged(model, 0)._pretend_gone(frame, gt, carried)
    assert hidden is None and not gone.any()


@pytest.mark.parametrize('objects', [[[]] * 5, [[], OBJECTS, [], [], OBJECTS]])
@pytest.mark.parametrize('stage', [0, 1])
def test_frames_without_objects(model, objects, stage):
    model.num_frames = (5, 5)
    out = losses(staged(model, stage), long_clip(objects))
    model.num_frames = (2, 5)
    model.zero_grad()
    sum(out.values()).backward()
    assert all(v.isfinite() for v in out.values())
    assert (out['loss_mask'] > 0) == any(objects)
    assert all(p.grad is not None and p.grad.isfinite().all()
               for p in model.tracker.parameters())


def test_single_frames_are_refused(model):
    one, sample = clip()
    sample.video_data_samples = sample.video_data_samples[:1]
    with pytest.raises(ValueError, match='num_frames of the clip sampler'):
        losses(model, (one[:1], sample))
    with pytest.raises(ValueError, match='num_frames is'):
        tiny_model(num_frames=(1, 5))


# -- inference ----------------------------------------------------------------
# Queries of seven, two frames in a row without make an end. Each row: rows
# that are found, identities of the frame. Tracks come first, then 7 new rows.
SCRIPT = [
    ([1, 4], [0, 1]),           # queries of the first frame begin
    ([1, 2 + 3], [0, 1, 2]),    # 0 is missed once; a new row begins
    ([2], [1, 2]),              # 0 has ended, 1 is missed once
    ([0, 2 + 0, 2 + 6], [1, 2, 3, 4]),  # 1 is back, 2 is missed, two begin
    ([0, 1, 2, 3], [1, 2, 3, 4]),
    ([0, 2, 3], [1, 2, 3, 4]),  # 2 is missed again, but not in a row
    ([0, 2, 3], [1, 3, 4]),     # now it ends
    ([], [1, 3, 4]),
    ([3 + 2], [5]),             # all end, one begins
]


def scores_of(found, count):
    score = torch.zeros(1, count)
    score[0, found] = 1.
    return score


def test_identities_begin_and_end(monkeypatch):
    model = tiny_model(max_gap=2).eval()
    given = iter([t for t, _ in SCRIPT])
    first = []

    def best_score(logits):
        if not first:  # of rows, which the first frame does not ask
            first.append(1)
            return torch.zeros(logits.shape[:2])
        return scores_of(next(given), logits.shape[1])

    monkeypatch.setattr(f'{DAQ}.best_score', best_score)
    session = model.session()
    inputs, (sample, ) = batch(model, video(len(SCRIPT)), training=False)
    for t, (_, ids) in enumerate(SCRIPT):
        (result, ) = session.step(
            inputs[0, t:t + 1], [sample.video_data_samples[t].metainfo])
        assert session.state.ids.tolist() == ids, t
        assert result.instances_id.tolist() == ids, t


def test_slots_say_who_has_gone(monkeypatch):
    """A track is found only if its slot finds it too; new ones have none."""
    model = tiny_model(max_gap=1, slot_thr=.5).eval()
    given = iter([
        scores_of([], 7), scores_of([0, 2, 3], 7),
        scores_of([0, 1, 2, 3 + 5], 10), scores_of([0, 2], 3),
        scores_of([0, 1, 2], 10), scores_of([1, 2], 3)])
    monkeypatch.setattr(f'{DAQ}.best_score', lambda logits: next(given))
    session = model.session()
    inputs, (sample, ) = batch(model, video(3), training=False)
    metas = [f.metainfo for f in sample.video_data_samples]
    results = session.step(inputs[0], metas)
    assert [r.instances_id.tolist() for r in results] == [
        [0, 1, 2], [0, 2, 3], [2, 3]]


def test_rows_are_bounded():
    """Every query is found in every frame, as with weights that have learnt
    nothing: who is there stays, and the best of the new ones come."""
    model = tiny_model(start_thr=0., score_thr=0., max_tracks=10).eval()
    session = model.session()
    inputs, (sample, ) = batch(model, video(4), training=False)
    results = session.step(
        inputs[0], [f.metainfo for f in sample.video_data_samples])
    ids = [r.instances_id.tolist() for r in results]
    assert ids[0] == list(range(7))
    assert ids[1:] == [list(range(10))] * 3
    with pytest.raises(ValueError, match='max_tracks'):
        tiny_model(max_tracks=0)
    with pytest.raises(ValueError, match='max_gap'):
        tiny_model(max_gap=0)


def test_a_video_without_any_instance():
    model = tiny_model(start_thr=.999999, score_thr=.999999).eval()
    session = model.session()
    inputs, (sample, ) = batch(model, video(3), training=False)
    results = session.step(
        inputs[0], [f.metainfo for f in sample.video_data_samples])
    assert [len(r) for r in results] == [0, 0, 0]
    assert session.finish().tracks == []


def test_what_ended_early_is_no_result(monkeypatch):
    """Followed for fewer than 5 frames: dropped, but at the video's end."""
    model = tiny_model(max_gap=1).eval()
    script = [scores_of([], 7), scores_of([0, 1], 7)]
    script += [scores_of([0, 1], 9)] * 3 + [scores_of([1], 9)]
    script += [scores_of([0, 1 + 2], 8)] * 1
    given = iter(script)
    monkeypatch.setattr(f'{DAQ}.best_score', lambda logits: next(given))
    session = model.session()
    inputs, (sample, ) = batch(model, video(6), training=False)
    session.step(inputs[0], [f.metainfo for f in sample.video_data_samples])
    # 0 has 4 frames and ended; 1 has 6; 2 is new in the last one.
    assert {t.id for t in session.finish().tracks} == {1, 2}
