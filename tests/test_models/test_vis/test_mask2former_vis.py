"""Mask2Former-VIS: losses of clips, whole videos and windows, memory."""
import copy
from unittest import mock

import pytest
import torch

from mmvis_memcnp.models.losses import SampledMaskLoss
from mmvis_memcnp.models.matching import Queries, SampledMaskCost
from mmvis_memcnp.models.truth import ClipTruth, Matches
from tests.fakes.tiny_mask2former_vis import tiny_model
from tests.fakes.tiny_seqformer import clip, kept_bytes
from tests.fakes.tiny_sipmask import batch, losses, video

NAMES = {'loss_cls', 'loss_mask', 'loss_dice'}
#: The learned queries, then two layers.
ALL = NAMES | {f'd{i}.{n}' for n in NAMES for i in range(2)}
WINDOW = dict(type='ClipMatching', length=3, stride=1)


@pytest.fixture(scope='module')
def model():
    return tiny_model().eval()


def frames_of(model, num_frames, seed=0, size=(64, 64)):
    """Frames and their sizes, as a session gets them."""
    inputs, samples = batch(
        model, video(num_frames, size, seed), training=False)
    return inputs[0], [f.metainfo for f in samples[0].video_data_samples]


def as_text(result):
    return result.to_ytvis(1, [1, 2, 3])


# -- the decoder ------------------------------------------------------------
def test_clips_of_a_batch_do_not_meet(model):
    """Two clips at once and one by one; a side that 32 does not divide."""
    clips = torch.randn(2, 3, 3, 41, 90, generator=torch.Generator()
                        .manual_seed(0))
    with torch.no_grad():
        both = model.segment(clips)
        for b in range(2):
            alone = model.segment(clips[b:b + 1])
            torch.testing.assert_close(alone.logits[:, 0], both.logits[:, b])
            torch.testing.assert_close(alone.masks()[0], both.masks()[b])
    assert both.masks().shape == (2, 7, 3, 11, 23)


def test_a_query_reads_all_frames_and_their_order(model):
    """What is in the last frame changes the masks of the first; so does the
    order of the frames, which the positions tell."""
    g = torch.Generator().manual_seed(1)
    clips = torch.randn(1, 3, 3, 64, 64, generator=g)
    other = clips.clone()
    other[:, 2] = torch.randn(3, 64, 64, generator=g)
    with torch.no_grad():
        masks, changed, turned = (
            model.segment(x).masks() for x in (clips, other, clips.flip(1)))
    assert not torch.allclose(masks[:, :, 0], changed[:, :, 0], atol=1e-4)
    assert not torch.allclose(masks, turned.flip(2), atol=1e-5)


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


def test_training_needs_a_matcher():
    with pytest.raises(ValueError, match='set matcher in the config'):
        losses(tiny_model(matcher=None), clip())


def truth_of(masks, labels):
    """Clips (B, G, T, H, W); an object is absent where its mask is empty."""
    present = masks.flatten(3).any(3)
    boxes = torch.zeros(*present.shape, 4)
    return ClipTruth(labels, boxes, boxes, masks, present, present.any(2),
                     torch.ones(len(masks), masks.shape[2], 2))


def test_a_clip_of_one_frame_costs_what_the_frame_does():
    """Costs and losses, by the two forms of the same objects."""
    g = torch.Generator().manual_seed(0)
    logits, embeds = torch.randn(2, 3, 5, 4, generator=g), torch.randn(
        2, 3, 5, 6, generator=g)
    features = torch.randn(3, 6, 8, 12, generator=g)
    masks = torch.rand(3, 2, 1, 32, 48, generator=g) > .6
    gt = truth_of(masks, torch.randint(3, (3, 2), generator=g))
    pairs = Matches.of_objects(torch.tensor([[[0, 3]] * 3, [[4, 1]] * 3]), 5)
    found = []
    for time, own in ((True, gt), (False, gt.frames())):
        args = (embeds[:, :, None], features[:, None]) if time else (
            embeds, features)
        torch.manual_seed(1)
        cost = SampledMaskCost(num_points=30)(
            Queries(logits, mask_embeds=args[0], mask_features=args[1]), own)
        values = SampledMaskLoss(num_points=30)(logits, *args, pairs, own)
        found.append((cost, *(values[k] for k in sorted(values))))
    for clips, frames in zip(*found, strict=True):
        torch.testing.assert_close(clips, frames)


def test_an_absent_object_is_to_have_an_empty_mask():
    """One object in one of two frames: mask losses are the sums over both
    frames, the second against nothing; as frames it counts once."""
    g = torch.Generator().manual_seed(0)
    embeds = torch.randn(1, 1, 2, 4, 6, generator=g)
    features = torch.randn(1, 2, 6, 8, 8, generator=g)
    logits = torch.randn(1, 1, 4, 3, generator=g)
    masks = torch.zeros(1, 1, 2, 32, 32, dtype=torch.bool)
    masks[0, 0, 0, 8:20, 8:20] = True
    gt = truth_of(masks, torch.zeros(1, 1, dtype=torch.long))
    pairs = Matches.of_objects(torch.tensor([[[2]]]), 4)
    centres = (torch.arange(8) + .5) / 8
    grid = torch.stack(torch.meshgrid(
        centres, centres, indexing='xy'), -1).view(1, 64, 2)
    with mock.patch('mmvis_memcnp.models.losses.sampled_mask.'
                    'uncertain_points', lambda x, *_: grid.repeat(
                        len(x), 1, 1)):
        out = SampledMaskLoss(num_points=64)(
            logits, embeds, features, pairs, gt)
    found = torch.einsum('td,tdhw->thw', embeds[0, 0, :, 2], features[0])
    target = torch.nn.functional.grid_sample(
        masks[0, 0, :, None].float(), grid.view(1, 8, 8, 2).expand(
            2, -1, -1, -1) * 2 - 1, align_corners=False)[:, 0]
    assert target[1].sum() == 0 < target[0].sum()
    bce = torch.nn.functional.binary_cross_entropy_with_logits(
        found, target, reduction='none').mean((1, 2))
    p = found.sigmoid()
    dice = 1 - (2 * (p * target).sum((1, 2)) + 1) / (
        p.sum((1, 2)) + target.sum((1, 2)) + 1)
    assert out['loss_mask'].item() == pytest.approx(
        5 * bce.sum().item(), rel=1e-5)
    assert out['loss_dice'].item() == pytest.approx(
        5 * dice.sum().item(), rel=1e-5)


def test_bfloat16(model):
    trained = copy.deepcopy(model).train()
    with torch.autocast('cpu', torch.bfloat16):
        half = losses(trained, clip())
        trained.eval()
        out = trained(*batch(trained, video(3), training=False),
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
        found = model.segment(frames[None])
    scores = found.logits[-1, 0].softmax(-1)[:, :-1]
    best = scores.flatten().topk(10)
    assert [t.score for t in tracks] == pytest.approx(best.values.tolist())
    assert [t.label for t in tracks] == (best.indices % 3).tolist()


def test_windows_settle_frames_and_agree_with_the_video(model):
    """A window as long as the video is the video, but for the threshold."""
    frames, metas = frames_of(model, 3)
    windows = tiny_model(window=WINDOW).eval()
    results = []
    for each in (model, windows):
        session = each.session()
        session.step(frames, metas)
        results.append(as_text(session.finish()))
    assert results[0] == results[1]
    session = windows.session()
    assert [len(session.step(frames[t % 3:t % 3 + 1], metas[:1]))
            for t in range(6)] == [0, 0, 1, 1, 1, 1]


def test_weak_queries_become_no_instances():
    """Of seven those above the threshold, at most top_k."""
    made = tiny_model(score_thr=.3, top_k=2)
    scores = torch.tensor([[.1, .2], [.9, 0.], [.3, .1], [.2, .5], [0., 0.]])
    assert made.candidates(scores).tolist() == [1, 3]
    made.top_k = 5
    assert made.candidates(scores).tolist() == [1, 3, 2]


@pytest.mark.parametrize('number', [
    0, -1,  # -1 would leave one query out
    '4GiB',  # text of a command line fails after hours, in validation
    2.5, True])
@pytest.mark.parametrize('name', ['top_k', 'max_bytes'])
def test_numbers_of_things(name, number):
    with pytest.raises(ValueError, match=f'{name} must be a whole number'):
        tiny_model(**{name: number})


@pytest.mark.parametrize('size', [(64, 64), (41, 90)])
def test_bytes_of_a_frame(model, size):
    frames, metas = frames_of(model, 8, size=size)
    session = model.session()
    session.step(frames, metas)
    kept = kept_bytes(session)
    assert kept == 8 * model.bytes_per_frame(tuple(frames.shape[-2:]))


def test_a_video_that_is_too_long_is_refused(model):
    frames, metas = frames_of(model, 2)
    each = model.bytes_per_frame((64, 64))
    short = tiny_model(max_bytes=2 * each).eval()
    session = short.session()
    session.step(frames, metas)
    with pytest.raises(ValueError, match='take the video in windows'):
        session.step(frames[:1], metas[:1])


def test_windows_keep_no_more_of_a_longer_video():
    """Bytes after 12 frames and after 30."""
    made = tiny_model(window=WINDOW).eval()
    frames, metas = frames_of(made, 3)
    session, kept = made.session(), []
    for t in range(30):
        session.step(frames[t % 3:t % 3 + 1], [dict(metas[0], frame_id=t)])
        if t in (11, 29):
            kept.append(kept_bytes(session.state))
    assert kept[0] == kept[1] > 0
