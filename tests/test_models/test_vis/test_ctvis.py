"""CTVIS: losses and what they teach, sessions, the memory of training."""
import copy

import pytest
import torch
from mmengine.config import Config

from mmvis_memcnp.models.truth import collect_clips
from tests.fakes.gradients import parts_reached
from tests.fakes.tiny_ctvis import CONFIGS, tiny_deformable, tiny_model
from tests.fakes.tiny_minvis import GivenFrames
from tests.fakes.tiny_minvis import tiny_model as tiny_minvis
from tests.fakes.tiny_sipmask import KEY, REF, batch, clip, losses, video

FRAMES = {'loss_cls', 'loss_mask', 'loss_dice'}
EMBEDS = {'loss_embed', 'loss_embed_aux'}
NETWORK = {'backbone', 'pixel_decoder', 'decoder'}


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


# -- training ---------------------------------------------------------------
def test_losses_of_sizes_that_differ(trained):
    out = seeded(trained, clip(), clip(size=(41, 90), seed=3))
    assert out.keys() == EMBEDS | FRAMES | {
        f'd{i}.{n}' for n in FRAMES for i in range(2)}
    assert all(v.isfinite() and v > 0 for v in out.values())
    trained.zero_grad()
    sum(out.values()).backward()
    for name, parameter in trained.named_parameters():
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name


def test_embeddings_learn_of_the_contrast_alone(trained):
    out = seeded(trained, clip())
    for name in EMBEDS:
        assert parts_reached(trained, out[name]) == NETWORK | {'embed_head'}
    for name in FRAMES:
        assert 'embed_head' not in parts_reached(trained, out[name])


def test_frames_learn_as_in_minvis():
    """The same network, the same losses of classes and masks."""
    ours, theirs = tiny_model(loss_embed=None), tiny_minvis()
    left = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert left.missing_keys == []
    assert {k.split('.')[1] for k in left.unexpected_keys} == {'embed_head'}
    clips = clip(), clip(KEY[:1], REF[:1], seed=1)
    mine, other = (seeded(m, *clips) for m in (ours, theirs))
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, other[name], msg=name)


def test_what_the_contrast_compares(trained, monkeypatch):
    """The query of the last layer that an object is matched with, by clip,
    frame and identity; not that of an object that is cropped away."""
    seen = {}
    monkeypatch.setattr(
        trained.loss_embed, 'forward',
        lambda embeds, rows: seen.update(embeds=embeds, rows=rows) or {})
    own = trained.matcher.match
    monkeypatch.setattr(
        trained.matcher, 'match',
        lambda *args: seen.setdefault('matches', own(*args)))
    gone = [*KEY[:1], (8, 2, 34, 10, 34, 50)]
    inputs, samples = batch(trained, clip(key=gone), clip(seed=1))
    trained(inputs, samples, mode='loss')
    assert seen['embeds'].shape == (2, 2, 7, 8)
    gt = collect_clips(samples, inputs.device, 1)
    rows = seen['rows']
    assert torch.equal(rows >= 0, gt.present.transpose(1, 2))
    assert rows[0, 0, 1] == -1 and (rows[1] >= 0).all()
    for query, frame, obj in zip(
            *(x[seen['matches'].layer == 2].tolist() for x in (
                seen['matches'].query, seen['matches'].frame,
                seen['matches'].gt)), strict=True):
        assert rows[frame // 2, frame % 2, obj] == query


@pytest.mark.parametrize('key, ref', [([], None), ([], [])])
def test_no_objects(trained, key, ref):
    """Beside a frame with some nothing is contrasted, and without any
    classes alone learn."""
    out = seeded(trained, clip(key) if ref is None else clip(key, ref))
    trained.zero_grad()
    sum(out.values()).backward()
    for name, value in out.items():
        expected = 'cls' in name or (ref is None and 'embed' not in name)
        assert (value > 0) == expected, name
    assert all(p.grad is None or p.grad.isfinite().all()
               for p in trained.parameters())


def test_single_frames_train_without_the_contrast():
    pixels, sample = clip()
    sample.video_data_samples = sample.video_data_samples[:1]
    one = pixels[:1], sample
    assert losses(tiny_model(loss_embed=None), one).keys().isdisjoint(EMBEDS)
    with pytest.raises(ValueError, match='num_frames'):
        losses(tiny_model(), one)


def test_the_training_has_the_memory_of_the_tracker():
    cfg = Config.fromfile(CONFIGS / 'ctvis.py').ctvis
    assert cfg.loss_embed.memory == cfg.tracker.memory
    model = tiny_model()
    assert type(model.loss_embed.memory) is type(model.tracker.memory)


def test_what_is_needed():
    with pytest.raises(ValueError, match='set matcher in the config'):
        losses(tiny_model(matcher=None), clip())
    with pytest.raises(ValueError, match='set embed_dims'):
        tiny_model(segmenter=dict(embed_dims=None))


# -- on the segmenter of IDOL -------------------------------------------------
def test_deformable_segmenter():
    model = tiny_deformable()
    out = seeded(model, clip(), clip(size=(41, 90), seed=3))
    assert EMBEDS < out.keys()
    assert all(v.isfinite() and v > 0 for v in out.values())
    assert 'embed_head' in parts_reached(model, out['loss_embed'])
    model.eval()
    found = model(*batch(model, video(3), training=False), mode='predict')
    assert found[0].pred_tracks.tracks


def test_all_frames_learn_on_it():
    """The frames of a clip, or two clips whose key frames they are."""
    model = tiny_deformable()
    plain = tiny_deformable(loss_embed=None)
    plain.load_state_dict(model.state_dict())
    pixels, sample = clip()
    turned = copy.deepcopy(sample)
    turned.set_metainfo(dict(key_frames_inds=[1], ref_frames_inds=[0]))
    whole = seeded(model, (pixels, sample))
    parts = seeded(plain, (pixels, sample), (pixels, turned))
    assert whole.keys() - parts.keys() == EMBEDS
    for name, value in parts.items():
        torch.testing.assert_close(whole[name], value, msg=name)


# -- sessions ---------------------------------------------------------------
META = dict(img_shape=(32, 32), ori_shape=(32, 32))


def given(embeds, logits, masks):
    """A model whose frames are given."""
    model = tiny_model().eval()
    frames = GivenFrames(embeds, logits, masks)
    forward = frames.forward

    def with_embeds(images):
        found = forward(images)
        return found._replace(embeds=found.queries)

    frames.forward = with_embeds
    model.segmenter = frames
    return model


def two_objects():
    """Two objects, which have changed places in one frame, and nothing."""
    embeds = 8 * torch.eye(3).repeat(4, 1, 1)
    logits = torch.full((4, 3, 4), -6.)
    logits[:, 0, 0] = logits[:, 1, 1] = 6.
    logits[:, 2, 3] = 6.
    masks = torch.full((4, 3, 8, 8), -4.)
    masks[:, 0, :4], masks[:, 1, 4:] = 4., 1.
    embeds[2], logits[2] = (
        x[2, [1, 0, 2]].clone() for x in (embeds, logits))
    return embeds, logits, masks


def test_identities_follow_the_embeddings():
    session = given(*two_objects()).session()
    results = session.step(torch.zeros(4, 3, 32, 32), [META] * 4)
    tops = [dict(zip(r.instances_id.tolist(), r.bboxes[:, 1].tolist(),
                     strict=True)) for r in results]
    # The lower mask is the weaker one and loses a row to the upper.
    assert tops == [{0: 0., 1: 17.}] * 2 + [{0: 17., 1: 0.}, {0: 0., 1: 17.}]
    tracks = session.finish().tracks
    assert [(t.id, t.label) for t in tracks[:2]] == [(0, 0), (1, 1)]


def test_scores_weigh_the_masks():
    """The mean probability of the pixels of all frames; in one of four they
    have changed places."""
    embeds, logits, masks = two_objects()
    scores = {}
    for rescore in (True, False):
        model = given(embeds, logits, masks)
        model.ranking['rescore'] = rescore
        session = model.session()
        session.step(torch.zeros(4, 3, 32, 32), [META] * 4)
        scores[rescore] = [t.score for t in session.finish().tracks[:2]]
    full = torch.nn.functional.interpolate(
        masks[:1, :2], size=(32, 32), mode='bilinear', align_corners=False)[0]
    inside = full > 0
    counts = torch.tensor([[3., 1.], [1., 3.]])
    share = (counts @ (full.sigmoid() * inside).sum((1, 2))) / (
        counts @ inside.sum((1, 2)).float())
    assert .9 < share[0] < .98 and .7 < share[1] < .8
    for i in range(2):
        assert scores[True][i] == pytest.approx(
            scores[False][i] * share[i].item(), rel=1e-5)


def test_duplicates_and_weak_queries_are_no_detections():
    embeds, logits, masks = two_objects()
    masks[:, 2] = masks[:, 0]      # as query 0, which is better
    logits[:, 2, 2] = 6.           # no background any more: 0.5
    model = given(embeds, logits, masks)
    model.mask_nms_iou = .6
    first = model.segmenter(torch.zeros(1, 3, 32, 32))
    assert model.detections(first).queries.tolist() == [0, 1]
    model.mask_nms_iou = 1.
    assert model.detections(first).queries.tolist() == [0, 1, 2]
    model.score_thr = .6
    assert model.detections(first).queries.tolist() == [0, 1]
    model.score_thr = 1.           # nothing is good enough: the best one
    assert model.detections(first).queries.tolist() == [0]


def frames_of(model, num_frames, seed=0, size=(64, 64)):
    """Frames and their sizes, as a session gets them."""
    inputs, samples = batch(
        model, video(num_frames, size, seed), training=False)
    return inputs[0], [f.metainfo for f in samples[0].video_data_samples]


def test_chunks_equal_frames(model):
    """Ten frames are more than what is encoded at once."""
    frames, metas = frames_of(model, 10)
    chunks, single = model.session(), model.session()
    chunks.step(frames, metas)
    for t in range(10):
        single.step(frames[t:t + 1], metas[t:t + 1])
    ours, theirs = chunks.finish(), single.finish()
    assert ours.tracks
    for a, b in zip(ours.tracks, theirs.tracks, strict=True):
        assert (a.id, a.label) == (b.id, b.label)
        assert a.score == pytest.approx(b.score, rel=1e-4)


@pytest.mark.parametrize('size', [(37, 53), (33, 95)])
def test_odd_sizes(model, size):
    frames, metas = frames_of(model, 2, size=size)
    metas = [dict(m, ori_shape=(2 * size[0] + 1, 50)) for m in metas]
    session = model.session()
    for result in session.step(frames, metas):
        assert all(m['size'] == [2 * size[0] + 1, 50] for m in result.masks)
    assert len(session.finish().tracks) > 0


def test_forward_gives_maps(model):
    with torch.no_grad():
        logits, masks, embeds = model(torch.randn(2, 2, 3, 64, 96))
    assert logits.shape == (4, 7, 4) and masks.shape == (4, 7, 16, 24)
    assert embeds.shape == (4, 7, 8)
