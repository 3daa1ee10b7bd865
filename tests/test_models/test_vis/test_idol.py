"""IDOL: training in every case, sessions, precision, memory."""
import pytest
import torch

from tests.fakes.gradients import TRUNK, heads_of, parts_reached
from tests.fakes.tiny_idol import tiny_model
from tests.fakes.tiny_sipmask import (
    KEY,
    REF,
    batch,
    clip,
    losses,
    video,
)

NAMES = {'loss_cls', 'loss_bbox', 'loss_giou', 'loss_mask', 'loss_dice'}
EMBED = {'loss_embed', 'loss_embed_aux'}


@pytest.fixture(scope='module')
def trained():
    """Only read: tests that change weights build their own."""
    return tiny_model()


def step(model, *clips):
    """Losses, and a backward pass that reaches every parameter."""
    model.zero_grad()
    out = losses(model, *clips)
    sum(out.values()).backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name
    return out


def test_losses_of_sizes_that_differ(trained):
    out = step(trained, clip(), clip(size=(41, 90), seed=3))
    assert out.keys() == NAMES | EMBED | {f'd0.{n}' for n in NAMES}
    assert all(v.isfinite() and v > 0 for v in out.values())


@pytest.mark.parametrize('key, ref, boxes, embeds', [
    ([], REF, False, False), (KEY, [], True, False), ([], [], False, False),
    (KEY[:1], REF[:1], True, False), (KEY[:1], REF[1:], True, True),
])
def test_absent_objects(trained, key, ref, boxes, embeds):
    out = step(trained, clip(key, ref))
    assert out['loss_cls'] > 0
    assert all((out[n] > 0) == boxes for n in NAMES - {'loss_cls'})
    assert all((out[n] > 0) == embeds for n in EMBED)


def test_an_empty_clip_beside_a_full_one(trained):
    both = step(trained, clip([], []), clip())
    alone = step(trained, clip())
    for name in ('loss_bbox', 'loss_mask', 'loss_dice', 'loss_embed'):
        assert float(both[name]) == pytest.approx(
            float(alone[name]), rel=1e-3), name


def test_frames_of_a_batch_do_not_meet():
    model = tiny_model().eval()
    clips = [clip(size=(50, 60)), clip(size=(64, 41), seed=5)]
    with torch.no_grad():
        both = model.encode(*as_frames(model, *clips))
        for one, expected in zip(clips, both, strict=True):
            (alone, ) = model.encode(*as_frames(model, one))
            assert torch.equal(alone.queries, expected.queries)
            for name in ('bboxes', 'embeds', 'mask_logits'):
                assert torch.allclose(alone[name], expected[name],
                                      rtol=1e-3, atol=1e-2), name


def as_frames(model, *clips):
    """First frame of each clip, and their sizes."""
    inputs, samples = batch(model, *clips, training=False)
    return inputs[:, 0], [s.video_data_samples[0].metainfo for s in samples]


def test_every_loss_reaches_its_heads_and_the_trunk(trained):
    out = losses(trained, clip())
    for name, value in out.items():
        heads = {'embed_head'} if name in EMBED else heads_of(name)
        assert parts_reached(trained, value) == TRUNK | heads, name


def test_draws_follow_the_seed(trained):
    """The negatives of the auxiliary loss are drawn, and nothing else is."""
    outs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outs.append(losses(trained, clip()))
    first, again, other = outs
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
        assert torch.equal(value, other[name]) == (
            name != 'loss_embed_aux'), name


def test_key_frames_alone():
    """Instances of images, as the first stage on COCO learns them."""
    model = tiny_model()
    model.loss_embed = None
    pixels, sample = clip()
    sample.video_data_samples = sample.video_data_samples[:1]
    del sample.ref_frames_inds
    out = losses(model, (pixels[:1], sample))
    assert out.keys() == NAMES | {f'd0.{n}' for n in NAMES}
    sum(out.values()).backward()
    assert model.segmenter.embed_head.layers[0].weight.grad is None


def test_missing_losses_are_said():
    model = tiny_model()
    model.loss_instance = None
    with pytest.raises(ValueError, match='set them in the config'):
        losses(model, clip())


def predict(model, *clips):
    model.eval()
    return [s.pred_tracks for s in model(
        *batch(model, *clips, training=False), mode='predict')]


def as_text(result):
    """A result without its sink."""
    return result.to_ytvis(1, [1, 2, 3])


def test_stream_equals_video_and_sessions_do_not_meet():
    model = tiny_model().eval()
    first, second = video(3, seed=1), video(3, seed=2)
    whole = [predict(model, v)[0] for v in (first, second)]
    inputs, samples = batch(model, first, second, training=False)
    sessions = [model.session(), model.session()]
    for t in range(3):
        for session, clip_, sample in zip(sessions, inputs, samples,
                                          strict=True):
            session.step(clip_[t:t + 1],
                         [sample.video_data_samples[t].metainfo])
    for session, expected in zip(sessions, whole, strict=True):
        assert as_text(session.finish()) == as_text(expected)
    chunk = model.session()
    chunk.step(inputs[0], [f.metainfo for f in samples[0].video_data_samples])
    ours, theirs = chunk.finish(), whole[0]
    assert [(t.id, t.label) for t in ours.tracks] == [
        (t.id, t.label) for t in theirs.tracks]


def test_one_frame():
    (result, ) = predict(tiny_model(), video(1))
    assert result.num_frames == 1 and len(result.tracks) > 0
    assert all(len(t.segmentations) == 1 for t in result.tracks)


def test_results_of_a_frame():
    model = tiny_model().eval()
    inputs, samples = batch(model, video(1, size=(50, 70)), training=False)
    meta = dict(samples[0].video_data_samples[0].metainfo,
                ori_shape=(100, 140))
    (out, ) = model.session().step(inputs[0], [meta])
    n = len(out)
    assert n > 0 and out.bboxes.shape == (n, 4)
    assert (out.bboxes >= 0).all() and out.bboxes[:, 2].max() <= 140
    assert ((out.scores > 0) & (out.scores <= 1)).all()
    assert all(m['size'] == [100, 140] for m in out.masks)
    assert 'box_sigmas' not in out


def test_nothing_found():
    """The best query alone is below what starts a track."""
    model = tiny_model()
    for branch in model.segmenter.cls_branches:
        torch.nn.init.constant_(branch.bias, -20.)
    model.eval()
    inputs, samples = batch(model, video(1), training=False)
    metas = [f.metainfo for f in samples[0].video_data_samples]
    assert len(model.encode(inputs[0], metas)[0]) == 1
    (result, ) = predict(model, video(12))
    assert result.num_frames == 12 and result.tracks == []


@pytest.mark.parametrize('score, expected', [(0.1, [2, 0]), (0.95, [2])])
def test_candidates(score, expected):
    model = tiny_model(score_thr=score)
    scores = torch.zeros(12, 3)
    scores[0, 1], scores[1, 1], scores[2, 0] = 0.8, 0.7, 0.9
    boxes = torch.tensor([.5, .5, .4, .4]).repeat(12, 1)
    boxes[1, 2] = .39  # IoU .975 with row 0, the same class
    size = torch.tensor([64., 64.])
    assert model.candidates(scores, boxes, size).tolist() == expected


def test_memory_does_not_grow_with_the_video():
    """What the tracker keeps after 40 and after 160 frames."""
    model = tiny_model().eval()
    torch.manual_seed(0)
    session, shape, sizes = model.session(), (32, 32), {}
    for end in range(8, 161, 8):
        session.step(torch.randn(8, 3, *shape),
                     [dict(img_shape=shape, ori_shape=shape)] * 8)
        state = session.state.tracks
        assert len(state) <= 12 * 10
        sizes[end] = (len(state), state.memory.recent.shape[2:],
                      len(session.filter._doubtful))
    assert sizes[40][1] == sizes[160][1]
    assert abs(sizes[40][0] - sizes[160][0]) <= 12 * 3
    assert max(sizes[40][2], sizes[160][2]) <= 12 * 3


def test_forward_gives_maps():
    model = tiny_model().eval()
    with torch.no_grad():
        logits, boxes, features = model(torch.randn(1, 2, 3, 64, 96))
    assert logits.shape == (2, 12, 3) and boxes.shape == (2, 12, 4)
    assert features.shape == (2, 8, 8, 12)
