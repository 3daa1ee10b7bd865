"""DVIS-DAQ offline: rows of the online tracker, training, whole videos."""
import copy

import pytest
import torch

from mmvis_memcnp.models.segmenters.mask2former import FrameQueries
from mmvis_memcnp.models.vis.dvis_daq_offline import (
    Followed,
    best_tracks,
    collect,
    link,
)
from tests.fakes.tiny_dvis_daq import (
    OBJECTS,
    long_clip,
    tiny_memcnp,
    tiny_model,
    tiny_offline,
)
from tests.fakes.tiny_sipmask import batch, noise

QUERIES = 7


def metas(count, size=(64, 64)):
    return [dict(img_shape=size, ori_shape=size, frame_id=t)
            for t in range(count)]


def frames(count, size=(64, 64), seed=0):
    return noise(count, size, seed).float() / 50 - 2


def encoded(model, count=6, seed=0):
    return model.encode(frames(count, seed=seed), metas(count))


# -- what the refiner reads ---------------------------------------------------
def stored_tracks():
    """Three instances of four frames: the first two dead after frame 1, the
    last one from frame 3 on."""
    alive = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 1]])
    times, ids = alive.nonzero(as_tuple=True)
    number = (3 * times + ids)[:, None].float()
    logits = torch.tensor([[0., 2., 0.], [9., 0., 0.], [0., 6., 0.]])[ids]
    # Two values in turn.
    logits[(ids == 1) & (times == 0)] += 1.
    logits[(ids == 1) & (times == 1)] -= 1.
    return Followed(times, ids, number + 100, number + 200, logits,
                    (number + 1)[:, :, None])


def test_no_track_at_all_is_refused():
    with pytest.raises(ValueError, match='num_tracks must be a whole'):
        tiny_offline(num_tracks=0)


@pytest.mark.parametrize('most, min_frames, expected', [
    # all, by their best class
    (5, 1, [1, 2, 0]),
    # two frames are too few, unless they last to the end
    (5, 3, [2, 0]),
    (1, 3, [2]),
    (0, 1, [])])
def test_best_instances(most, min_frames, expected):
    ids, logits = best_tracks(stored_tracks(), 4, min_frames, most)
    assert ids.tolist() == expected
    # The means over the frames of each.
    means = {0: [0, 2, 0], 1: [9, 0, 0], 2: [0, 6, 0]}
    assert logits.tolist() == [means[i] for i in expected]


def test_queries_are_linked_to_what_they_resemble():
    torch.manual_seed(0)
    start = torch.randn(5, 8)
    orders = [torch.randperm(5) for _ in range(3)]
    queries = torch.stack([start, *(start[o] for o in orders)])
    found = link(queries)
    assert found[0].tolist() == [0, 1, 2, 3, 4]
    for t, order in enumerate(found):
        assert torch.equal(queries[t][order], start)


def test_rows_before_and_after_the_life_of_an_instance():
    torch.manual_seed(0)
    # Four queries that stay in place; 2 and 0 are the best of them.
    queries = torch.tensor([1., -1, 1, -1]).view(1, 4, 1).repeat(4, 1, 1)
    logits = torch.zeros(4, 4, 3)
    logits[:, 2, 1], logits[:, 0, 0] = 9., 5.
    queries, embeds = queries[None], torch.full((1, 4, 4, 2), 7.)
    frames = FrameQueries(queries, queries, logits[None], embeds, None,
                          torch.ones(4, 2, 1, 1))
    chosen = torch.tensor([2, 1])
    found = collect(stored_tracks(), frames, chosen, torch.tensor(
        [[0., 6., 0.], [9., 0., 0.]]))
    # instance 2 from frame 3 on, its anchor before; instance 1 the other way
    assert found.rows[:, 0, 0].tolist() == [211, 211, 211, 111]
    assert found.rows[:, 1, 0].tolist() == [101, 104, 204, 204]
    assert found.rows[:, 2:, 0].tolist() == [[1, 1]] * 4
    assert found.logits.tolist() == [
        [0, 6, 0], [9, 0, 0], [0, 9, 0], [5, 0, 0]]
    masks = found.masks[..., 0, 0]
    assert masks[:, 0].tolist() == [-1e4, -1e4, -1e4, 12]
    assert masks[:, 1].tolist() == [2, 5, -1e4, -1e4]
    assert masks[:, 2:].tolist() == [[14, 14]] * 4


@pytest.mark.parametrize('memcnp', [None, dict(type='MemCNP', num_items=8)])
def test_rows_are_those_of_the_online_system(memcnp):
    """Identities, logits and masks of a session of the online model; with
    MemCNP its classes."""
    offline = tiny_offline(num_tracks=QUERIES, memcnp=memcnp).eval()
    online = (tiny_memcnp() if memcnp else tiny_model()).eval()
    missing, unexpected = offline.load_state_dict(
        online.state_dict(), strict=False)
    assert not unexpected and all(k.startswith('refiner.') for k in missing)
    items = encoded(offline)
    with torch.no_grad():
        assert not offline.track(items).masks.numel()
        rows = offline.train().track(items)
        masks = rows.masks
        state, sums, seen = online.begin({}), {}, {}
        for t, item in enumerate(items):
            frame, = online.advance(state, item, metas(1)[0])
            for one, logits, mask in zip(
                    frame.ids.tolist(), frame.logits, frame.masks.values,
                    strict=True):
                sums.setdefault(one, []).append(logits)
                seen[t, one] = mask
    assert rows.rows.shape == (6, QUERIES, 32) == rows.frames.shape
    means = {one: torch.stack(x).mean(0) for one, x in sums.items()
             if len(x) >= 2 or (5, one) in seen}
    assert len(means) > 2
    best = sorted(means, key=lambda one: -means[one].softmax(0)[:-1].max())
    for row, one in enumerate(best[:QUERIES]):
        assert torch.allclose(rows.logits[row], means[one], atol=1e-5)
        for t in range(6):
            assert torch.allclose(
                masks[t, row], seen.get((t, one), torch.tensor(-1e4)),
                atol=1e-4)


def test_a_video_in_which_nothing_begins():
    model = tiny_offline(start_thr=1., score_thr=1.).eval()
    items = encoded(model, 3)
    with torch.no_grad():
        rows = model.track(items)
    assert rows.rows.shape == (3, QUERIES, 32)
    # the segmenter's own queries alone
    first = items[0].queries[-1, 0]
    assert sorted(rows.rows[0].tolist()) == sorted(first.tolist())


# -- training -----------------------------------------------------------------
def losses(model, *clips):
    inputs, samples = batch(model, *clips)
    torch.manual_seed(2)
    return model(inputs, samples, mode='loss')


@pytest.mark.parametrize('stage', [0, 1])
def test_the_refiner_alone_learns(stage):
    model = tiny_offline()
    model.set_progress(stage * 50, 100)
    assert model.stage == stage and model.refiner.training
    assert not model.tracker.training and not model.segmenter.training
    found = losses(model, long_clip(), long_clip(seed=1))
    assert set(found) == {
        f'{layer}loss_{name}' for layer in ('', 'd0.')
        for name in ('cls', 'mask', 'dice')}
    sum(found.values()).backward()
    for name, p in model.named_parameters():
        if not name.startswith('refiner.'):
            assert not p.requires_grad and p.grad is None, name
        elif name != 'refiner.time_weight.bias':  # a softmax takes it away
            assert p.grad.abs().max() > 0, name


def test_first_rows_learn_what_their_online_predictions_match(monkeypatch):
    """Then what the refiner says."""
    model, found = tiny_offline(), {}
    match = model.matcher.match

    def kept(queries, truth):
        result = match(queries, truth)
        found[key] = result.best
        return result

    monkeypatch.setattr(model.matcher, 'match', kept)
    for model.stage in (0, 1):
        for seed in (1, 2):
            key = model.stage, seed
            torch.manual_seed(seed)
            model.refiner.init_weights()
            torch.nn.init.normal_(model.refiner.cls_embed.weight)
            losses(model, long_clip())
    assert found[0, 1].shape[0] == 1 and found[1, 1].shape[0] == 2
    assert torch.equal(found[0, 1], found[0, 2])
    assert not torch.equal(found[1, 1], found[1, 2])


def test_clips_of_a_batch_are_followed_each_for_itself():
    model = tiny_offline()
    clips = torch.stack([frames(4), frames(4, seed=3)])
    both, features = model.follow(clips)
    for n in range(2):
        alone, own = model.follow(clips[n:n + 1])
        assert torch.allclose(features[n:n + 1], own, atol=1e-5)
        for a, b in zip(alone, both, strict=True):
            assert torch.allclose(a[0], b[n], atol=1e-3)


def test_what_was_trained_online_is_loaded_as_it_is():
    online, offline = tiny_model(), tiny_offline()
    missing, unexpected = offline.load_state_dict(
        online.state_dict(), strict=False)
    assert not unexpected
    assert missing and all(k.startswith('refiner.') for k in missing)


def test_a_copy_has_parts_of_its_own():
    model = tiny_offline()
    other = copy.deepcopy(model)
    assert other.online.tracker is other.tracker is not model.tracker
    assert set(other.state_dict()) == set(model.state_dict())
    assert list(model.parts()) == [
        'backbone', 'pixel_decoder', 'decoder', 'embed_head', 'clip_loss',
        'tracker', 'refiner']


@pytest.mark.parametrize('stage', [0, 1])
def test_a_clip_without_objects(stage):
    """Every parameter has a gradient all the same, alone and in a batch."""
    model = tiny_offline()
    model.stage = stage
    for clips in ([long_clip([[]] * 3)],
                  [long_clip([[]] * 3), long_clip([OBJECTS[:1]] * 3)]):
        model.zero_grad(set_to_none=True)
        found = losses(model, *clips)
        assert all(v.isfinite() for v in found.values())
        sum(found.values()).backward()
        assert all((p.grad is not None) == name.startswith('refiner.')
                   for name, p in model.named_parameters())
        assert (found['loss_mask'] > 0) == (len(clips) == 2)


def test_training_needs_a_matcher():
    with pytest.raises(ValueError, match='set matcher'):
        losses(tiny_offline(matcher=None), long_clip())


# -- whole videos and windows -------------------------------------------------
@pytest.mark.parametrize('size', [(64, 64), (61, 97)])
def test_bytes_a_frame_are_those_that_are_kept(size):
    model = tiny_offline().eval()
    item = model.encode(frames(2, size), metas(2, size))[1]
    kept = sum(x.numel() for x in item if x is not None)
    height, width = item.mask_features.shape[-2:]
    # rows, anchors, classes; a frame and an identity
    each = 4 * (2 * 32 + 4) + 2 * 8
    assert model.bytes_per_frame(size) == 4 * kept + 300 * each
    fewer = tiny_offline(max_tracks=10).eval()
    assert model.bytes_per_frame(size) - fewer.bytes_per_frame(
        size) == 290 * each


def test_rows_are_bounded():
    """By the limit of the online system, which is passed on."""
    model = tiny_offline(start_thr=0., score_thr=0., max_tracks=3,
                         num_tracks=QUERIES).eval()
    with torch.no_grad():
        items = encoded(model)
        rows = model.track(items)
    # The others are queries of the segmenter.
    queries = items[0].queries[-1, 0]
    linked = (rows.rows[0, :, None] == queries).all(-1).any(-1)
    assert linked.tolist() == [False] * 3 + [True] * 4
    with pytest.raises(ValueError, match='max_tracks must be a whole'):
        tiny_offline(max_tracks=0)


def test_a_long_video_is_refused_or_taken_in_windows():
    model = tiny_offline().eval()
    model.max_bytes = 5 * model.bytes_per_frame((64, 64))
    with pytest.raises(ValueError, match='6 frames .*model.window'):
        model.session().step(frames(6), metas(6))
    windows = tiny_offline(
        window=dict(type='ClipMatching', length=4, stride=2)).eval()
    windows.max_bytes = model.max_bytes
    session = windows.session()
    late = [len(session.step(frames(9)[t:t + 1], metas(9)[t:t + 1]))
            for t in range(9)]
    assert late == [0, 0, 0, 1, 0, 2, 0, 2, 0]
    assert session.finish().num_frames == 9


def test_scores_are_those_of_the_refiner_or_the_better_of_both():
    found = {}
    for both in (False, True):
        model = tiny_offline(with_online_scores=both).eval()
        items = encoded(model)
        with torch.no_grad():
            out = model.decode(items, metas(6))
            rows = model.track(items)
            logits, _ = model.refiner(
                rows.rows[None], rows.frames[None], all_layers=False)
        found[both] = out.class_scores
        own = logits[-1, 0].softmax(-1)[:, :-1]
        online = rows.logits.softmax(-1)[:, :-1]
        expected = own.maximum(online) if both else own
        assert torch.allclose(out.class_scores, expected[out.rows])
        best = out.class_scores.amax(1)
        assert torch.equal(best, best.sort(descending=True).values)
    assert found[True].sum() > found[False].sum()


def test_raw_maps():
    model = tiny_offline().eval()
    with torch.no_grad():
        logits, masks = model(frames(3)[None], mode='tensor')
    assert logits.shape == (1, QUERIES, 4)
    assert masks.shape == (1, QUERIES, 3, 16, 16)
