"""MinVIS: losses and what they teach, sessions, who is shown, memory."""
import copy

import pytest
import torch

from tests.fakes.gradients import parts_reached
from tests.fakes.tiny_minvis import (
    GivenFrames,
    tiny_minvis_config,
    tiny_model,
)
from tests.fakes.tiny_seqformer import kept_bytes
from tests.fakes.tiny_sipmask import batch, clip, losses, video

NAMES = {'loss_cls', 'loss_mask', 'loss_dice'}
#: The learned queries, then two layers.
ALL = NAMES | {f'd{i}.{n}' for n in NAMES for i in range(2)}


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
    assert out.keys() == ALL
    assert all(v.isfinite() and v > 0 for v in out.values())
    trained.zero_grad()
    sum(out.values()).backward()
    for name, parameter in trained.named_parameters():
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name


def test_every_loss_reaches_its_heads_and_what_they_read(trained):
    """Classes of the learned queries know nothing of a frame."""
    for name, value in seeded(trained, clip()).items():
        first, kind = name.startswith('d0.'), name.rpartition('_')[2]
        network = {'backbone', 'pixel_decoder'}
        expected = {'decoder', 'cls_embed'} | (
            set() if first else network) if kind == 'cls' else {
                'decoder', 'mask_embed'} | network
        assert parts_reached(trained, value) == expected, name


def test_a_clip_is_as_good_as_its_frames(trained):
    """Two frames of one clip, or of two clips of one frame."""
    pixels, sample = clip()
    halves = []
    for t in range(2):
        half = copy.deepcopy(sample)
        half.video_data_samples = half.video_data_samples[t:t + 1]
        del half.key_frames_inds, half.ref_frames_inds
        halves.append((pixels[t:t + 1], half))
    whole, parts = seeded(trained, clip()), seeded(trained, *halves)
    for name in ALL:
        assert torch.equal(whole[name], parts[name]), name


@pytest.mark.parametrize('key, ref', [([], None), ([], [])])
def test_no_objects(trained, key, ref):
    """Beside a frame with some, and without any: classes alone learn."""
    out = seeded(trained, clip(key) if ref is None else clip(key, ref))
    trained.zero_grad()
    sum(out.values()).backward()
    for name, value in out.items():
        assert (value > 0) == (ref is None or 'cls' in name), name
    assert all(p.grad is None or p.grad.isfinite().all()
               for p in trained.parameters())


def test_bfloat16(trained):
    full = seeded(trained, clip())
    with torch.autocast('cpu', torch.bfloat16):
        half = seeded(trained, clip())
    for name, value in half.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(full[name].item(), rel=.25)
    sum(half.values()).backward()
    trained.eval()
    with torch.autocast('cpu', torch.bfloat16):
        out = trained(*batch(trained, video(2), training=False),
                      mode='predict')[0].pred_tracks
    trained.train()
    assert len(out.tracks) == 10


CONTRAST = dict(
    type='MemoryContrast', memory=dict(type='SimilarityMemory'),
    loss=dict(type='ContrastiveEmbeddingLoss', negative_ratio=None))


def test_contrast_of_embeddings():
    """It reaches the embeddings' head, and the other losses are the same."""
    plain = tiny_config_with_embeddings()
    model = tiny_model(segmenter=plain, loss_embed=CONTRAST)
    torch.manual_seed(0)
    out = losses(model, clip(), clip(seed=1))
    embed = {k: v for k, v in out.items() if 'embed' in k or 'track' in k}
    assert embed and all(v > 0 for v in embed.values())
    torch.manual_seed(0)
    without = losses(tiny_model(segmenter=plain), clip(), clip(seed=1))
    assert without.keys() == out.keys() - embed.keys()
    for name, value in without.items():
        torch.testing.assert_close(out[name], value)
    sum(embed.values()).backward()
    assert all(p.grad.abs().sum() > 0
               for p in model.segmenter.embed_head.parameters()
               if p.dim() > 1)


def test_contrast_needs_embeddings():
    with pytest.raises(ValueError, match='embed_dims of the segmenter'):
        tiny_model(loss_embed=CONTRAST)


def tiny_config_with_embeddings():
    return tiny_minvis_config()['segmenter'] | dict(embed_dims=8)


def test_training_needs_a_matcher():
    with pytest.raises(ValueError, match='set matcher in the config'):
        losses(tiny_model(matcher=None), clip())


# -- sessions ---------------------------------------------------------------
def as_text(result):
    """A result without its sink."""
    return result.to_ytvis(1, [1, 2, 3])


def frames_of(model, num_frames, seed=0, size=(64, 64)):
    """Frames and their sizes, as a session gets them."""
    inputs, samples = batch(
        model, video(num_frames, size, seed), training=False)
    return inputs[0], [f.metainfo for f in samples[0].video_data_samples]


def test_stream_equals_video_and_sessions_do_not_meet(model):
    first, second = video(3, seed=1), video(3, seed=2)
    whole = [as_text(model(*batch(model, v, training=False), mode='predict')
                     [0].pred_tracks) for v in (first, second)]
    assert whole[0] and whole[0] != whole[1]
    sessions = [model.session(), model.session()]
    for t in range(3):
        for seed, session in enumerate(sessions, 1):
            frames, metas = frames_of(model, 3, seed)
            result, = session.step(frames[t:t + 1], metas[t:t + 1])
            assert result.frame_id == t and 0 < len(result) <= 7
    assert [as_text(s.finish()) for s in sessions] == whole


def test_chunks_equal_frames(model):
    """Ten frames are more than what is encoded at once."""
    frames, metas = frames_of(model, 10)
    chunks, single = model.session(), model.session()
    chunks.step(frames, metas)
    for t in range(10):
        single.step(frames[t:t + 1], metas[t:t + 1])
    ours, theirs = chunks.finish(), single.finish()
    assert len(ours.tracks) == 10
    for a, b in zip(ours.tracks, theirs.tracks, strict=True):
        assert (a.id, a.label) == (b.id, b.label)
        assert a.score == pytest.approx(b.score, rel=1e-4)


def test_a_copy_goes_on_alone(model):
    frames, metas = frames_of(model, 6)
    session = model.session()
    session.step(frames[:3], metas[:3])
    other = copy.deepcopy(session)
    assert other.model is session.model
    before = as_text(other.tracks())
    session.step(frames[3:], metas[3:])
    assert as_text(other.tracks()) == before
    other.step(frames[3:], metas[3:])
    assert as_text(other.finish()) == as_text(session.finish())


@pytest.mark.parametrize('size', [(37, 53), (33, 95)])
def test_odd_sizes(model, size):
    frames, metas = frames_of(model, 2, size=size)
    metas = [dict(m, ori_shape=(2 * size[0] + 1, 50)) for m in metas]
    session = model.session()
    for result in session.step(frames, metas):
        assert all(m['size'] == [2 * size[0] + 1, 50] for m in result.masks)
    assert len(session.finish().tracks) > 0


def test_two_videos_of_different_sizes(model):
    """A batch of them is padded to one size; masks have the size of each."""
    sizes = [(64, 64), (41, 90)]
    found = model(*batch(model, *(video(2, size) for size in sizes),
                         training=False), mode='predict')
    for sample, size in zip(found, sizes, strict=True):
        codes = [s for t in sample.pred_tracks.tracks
                 for s in t.segmentations if s is not None]
        assert codes and all(c['size'] == list(size) for c in codes)


def test_empty_masks_are_no_results_but_count():
    """Nobody is seen in the second frame, and all are ranked there."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.ones(2, 7, 8, 8)
    masks[1] = -1
    logits = torch.randn(2, 7, 4, generator=generator)
    model = tiny_model().eval()
    model.segmenter = GivenFrames(
        torch.eye(7).expand(2, 7, 7), logits, masks)
    session = model.session()
    meta = dict(img_shape=(32, 32), ori_shape=(32, 32))
    first, second = session.step(torch.zeros(2, 3, 32, 32), [meta] * 2)
    assert first.instances_id.tolist() == list(range(7))
    assert len(second) == 0 and second.frame_id == 1
    expected = logits.mean(0).softmax(1)[:, :-1].max()
    track = session.finish().tracks[0]
    assert track.score == pytest.approx(expected.item())
    assert [s is None for s in track.segmentations] == [False, True]


# -- who is shown -----------------------------------------------------------
def rising(frames=4):
    """Four queries: a good one, one that becomes good, two that never do."""
    logits = torch.zeros(frames, 4, 4)
    logits[:, :, 3] = 4.          # no object
    logits[:, 0, 0] = 8.
    logits[2:, 1, 1] = 9.
    logits[0, 2, 2] = 1.
    model = tiny_model().eval()
    model.segmenter = GivenFrames(
        torch.eye(4).expand(frames, 4, 4), logits,
        torch.ones(frames, 4, 8, 8))
    return model, frames


@pytest.mark.parametrize('num_shown, shown', [
    # all
    (None, [[0, 1, 2, 3]] * 4),
    # more than there are
    (9, [[0, 1, 2, 3]] * 4),
    # of the others the one that is best in the frame, then by its mean
    (2, [[0, 2], [0, 2], [0, 1], [0, 1]]),
    # in the frame it is better than the other ever is in the mean
    (1, [[0], [0], [1], [1]]),
])
def test_who_is_shown(num_shown, shown):
    model, frames = rising()
    model.num_shown = num_shown
    session = model.session()
    meta = dict(img_shape=(32, 32), ori_shape=(32, 32))
    found = session.step(torch.zeros(frames, 3, 32, 32), [meta] * frames)
    assert [r.instances_id.tolist() for r in found] == shown
    # What is scored does not depend on what is shown.
    full, _ = rising()
    other = full.session()
    other.step(torch.zeros(frames, 3, 32, 32), [meta] * frames)
    assert session.ranking.finish() == other.ranking.finish()


def test_somebody_is_shown():
    with pytest.raises(ValueError, match='num_shown must be at least 1'):
        tiny_model(num_shown=0)


@pytest.mark.parametrize('num_shown', [None, 3])
def test_memory_does_not_grow_with_the_video(num_shown):
    """What the session's tensors hold after 12 and after 48 frames."""
    model = tiny_model(num_shown=num_shown).eval()
    state = dict(model.state_dict())
    weights = sum(v.untyped_storage().nbytes() for v in state.values())
    sizes = []
    for count in (12, 48):
        session = model.session()
        meta = dict(img_shape=(32, 32), ori_shape=(32, 32))
        for _ in range(count):
            session.step(torch.randn(1, 3, 32, 32), [meta])
        sizes.append(kept_bytes(session))
    assert sizes[0] == sizes[1] < weights + 4096


def test_forward_gives_maps(model):
    with torch.no_grad():
        logits, masks = model(torch.randn(2, 2, 3, 64, 96))
    assert logits.shape == (4, 7, 4) and masks.shape == (4, 7, 16, 24)


def test_parts_are_those_of_the_segmenter(model):
    assert list(model.parts()) == [
        'backbone', 'pixel_decoder', 'decoder', 'tracker', 'frame_loss']
