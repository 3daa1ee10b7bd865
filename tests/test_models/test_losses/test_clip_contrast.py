"""Contrastive items of clips, against loops that follow the papers."""
import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from mmvis_memcnp.models.losses import MemoryContrast, ReferenceContrast

LOSS = dict(type='ContrastiveEmbeddingLoss', negative_ratio=None)
SIMILAR = dict(type='SimilarityMemory', length=10)
LATEST = dict(type='LatestMemory')
#: Frames a line: the query of each of three objects, -1 = absent.
ROWS = torch.tensor([[[0, 1, -1], [2, -1, -1], [-1, -1, 4], [3, 0, 1]],
                     [[4, -1, -1], [-1, 2, -1], [0, 3, -1], [1, -1, -1]]])


def embeddings(rows=ROWS, queries=6, dims=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*rows.shape[:2], queries, dims, generator=g)


def average(earlier):
    """Eqs 1 and 2 over the embeddings of an object."""
    mean = earlier[0]
    for t in range(1, len(earlier)):
        cosines = [float(F.cosine_similarity(earlier[t], e, dim=0))
                   for e in earlier[:t]]
        share = max(0., sum(cosines) / len(cosines))
        mean = (1 - share) * mean + share * earlier[t]
    return mean


def latest(earlier):
    return earlier[-1]


def by_hand(embeds, rows, remember=average, major='memory', local=True):
    """Positive and negatives of every item, clip by clip."""
    items = []
    for clip, own in zip(embeds, rows.tolist(), strict=True):
        seen = {}
        for t, line in enumerate(own):
            bank = {g: remember(e) for g, e in seen.items()}
            for g, query in enumerate(line):
                if query < 0 or g not in bank:
                    continue
                far = []
                if major == 'memory':
                    far += [e for other, e in bank.items() if other != g]
                for q in range(len(clip[t - 1])):
                    owner = own[t - 1].index(q) if q in own[t - 1] else None
                    if (local and owner is None) or (
                            major == 'frame' and owner not in (None, g)):
                        far.append(clip[t - 1][q])
                items.append((clip[t][query], bank[g], far))
            for g, query in enumerate(line):
                if query >= 0:
                    seen.setdefault(g, []).append(clip[t][query])
    return items


def expected(items):
    """Eq 5 and the squared errors of the cosines."""
    contrast, aux = [], []
    for anchor, near, far in items:
        contrast.append(math.log(1 + sum(
            math.exp(anchor @ k - anchor @ near) for k in far)))
        squares = [(F.cosine_similarity(anchor, k, dim=0) -
                    float(k is near))**2
                   for k in (near, *far)]
        aux.append(float(sum(squares) / len(squares)))
    return 2 * sum(contrast) / len(items), 3 * sum(aux) / len(items)


def contrast(memory=SIMILAR, **options):
    options.setdefault('noise_prob', 0.)
    return MODELS.build(dict(type='MemoryContrast', memory=memory, loss=LOSS,
                             **options))


@pytest.mark.parametrize('options, how', [
    # the paper
    (dict(), dict()),
    # Table 3: the latest embedding in place of the average
    (dict(memory=LATEST), dict(remember=latest)),
    (dict(latest_prob=1.), dict(remember=latest, major=None)),
    # Table 4
    (dict(supplementary=None), dict(local=False)),
    (dict(major=None), dict(major=None)),
    # all queries of the frame before, as released
    (dict(major='frame'), dict(major='frame')),
    (dict(major='frame', supplementary=None),
     dict(major='frame', local=False)),
])
def test_equals_the_formulas(options, how):
    embeds = embeddings()
    if 'latest_prob' in options:  # others are then latest, too
        options['major'] = None
    found = contrast(**options)(embeds, ROWS)
    items = by_hand(embeds, ROWS, **how)
    assert len(items) == 7
    first, second = expected(items)
    assert found['loss_embed'] == pytest.approx(first, rel=1e-5)
    assert found['loss_embed_aux'] == pytest.approx(second, rel=1e-5)


def test_no_object_knows_the_future():
    """What comes later changes no item of a frame, but with look_ahead."""
    embeds, other = embeddings(), embeddings(seed=1)
    other[:, :3] = embeds[:, :3]
    items, others = (contrast().items(x, ROWS) for x in (embeds, other))
    early = slice(0, 4)  # of both clips, frames 1 and 2
    assert torch.equal(items.others, others.others)
    assert torch.equal(items.anchors[early], others.anchors[early])
    assert not torch.equal(items.anchors[4:], others.anchors[4:])
    ahead = contrast(look_ahead=True)
    assert not torch.equal(ahead.items(embeds, ROWS).others[early],
                           ahead.items(other, ROWS).others[early])


def test_look_ahead_adds_who_appears():
    embeds = embeddings()
    plain = contrast().items(embeds, ROWS)
    ahead = contrast(look_ahead=True).items(embeds, ROWS)
    more = ahead.valid & ~plain.valid
    # Object 2 of clip 0 in frame 2, object 1 of clip 1 in frame 1.
    assert more.nonzero().tolist() == [[1, 1], [2, 2]]
    near = [ahead.others[p, g] for p, g in more.nonzero().tolist()]
    assert torch.equal(near[0], embeds[1, 2, 3])
    assert torch.equal(near[1], embeds[0, 3, 1])
    assert (plain.valid <= ahead.valid).all()


def test_global_negatives_are_queries_of_all_frames_before():
    embeds = embeddings()
    items = contrast(major=None, supplementary='global').items(embeds, ROWS)
    for p, (others, away) in enumerate(zip(items.others, items.negatives,
                                           strict=True)):
        t, clip = p // 2 + 1, p % 2
        free = [embeds[clip, s, q].tolist() for s in range(t)
                for q in range(6) if q not in ROWS[clip, s].tolist()]
        for g in range(3):
            drawn = others[away[g]].tolist()
            assert len(drawn) == min(6, len(free))
            assert all(x in free for x in drawn)
            assert len({tuple(x) for x in drawn}) == len(drawn)
    # From the last frame on, not all of them are of the frame before.
    before = embeds[0, 2].tolist()
    assert any(x not in before for x in items.others[-2, 3:].tolist())


def test_global_is_local_after_the_first_frame():
    rows, embeds = ROWS[:, :2], embeddings()[:, :2]
    one, two = (contrast(supplementary=s)(embeds, rows)
                for s in ('local', 'global'))
    for name in one:
        torch.testing.assert_close(one[name], two[name])


@pytest.mark.parametrize('prob, written', [
    (0., [[[0, 1, -1], [2, -1, -1], [-1, -1, 4], [3, 0, 1]],
          [[4, -1, -1], [-1, 2, -1], [0, 3, -1], [1, -1, -1]]]),
    # Who has disappeared gets the query of the only one that is there; who
    # has not appeared yet gets none.
    (1., [[[0, 1, -1], [2, 2, -1], [4, 4, 4], [3, 0, 1]],
          [[4, -1, -1], [2, 2, -1], [0, 3, -1], [1, 1, -1]]]),
])
def test_noise(prob, written):
    found = contrast(noise_prob=prob).noisy(ROWS)
    assert found.tolist() == written


def test_noise_is_rare_and_of_whoever_is_there():
    rows = torch.tensor([[[0, 1, 2, 3], [-1, 1, 2, 3]]]).repeat(4000, 1, 1)
    torch.manual_seed(0)
    found = contrast(noise_prob=.3).noisy(rows)[:, 1]
    assert torch.equal(found[:, 1:], rows[:, 1, 1:])
    counts = torch.bincount(found[:, 0] + 1, minlength=5) / 4000
    torch.testing.assert_close(
        counts, torch.tensor([.7, 0., .1, .1, .1]), atol=.02, rtol=0)


def test_noise_is_written_and_no_anchor():
    """Object 1 disappears in frame 1, where it gets what object 0 has."""
    rows = torch.tensor([[[0, 1], [2, -1], [3, 4]]])
    embeds = embeddings(rows)
    clean, noisy = (contrast(noise_prob=p).items(embeds, rows)
                    for p in (0., 1.))
    assert torch.equal(clean.valid, noisy.valid)
    assert clean.valid.tolist() == [[True, False], [True, True]]
    e = embeds[0]
    assert torch.equal(clean.others[1, 1], e[0, 1])
    torch.testing.assert_close(noisy.others[1, 1],
                               average([e[0, 1], e[1, 2]]))


def test_gradients_pass_through_the_memory():
    """An embedding of frame 0 learns from an item of frame 2."""
    rows = torch.tensor([[[0], [1], [2]]])
    # None is unlike the others: every one is a part of the average.
    embeds = embeddings(rows).abs().requires_grad_()
    found = contrast(major=None)
    items = found.items(embeds, rows)
    last = items._replace(valid=items.valid & torch.tensor([[False], [True]]))
    found.contrast(*last)['loss_embed'].backward()
    moved = embeds.grad[0].abs().sum(-1) > 0
    assert moved[0].tolist() == [True] + [False] * 5  # in the average
    assert moved[1].all()  # the other part, and negatives
    assert moved[2].tolist() == [False, False, True] + [False] * 3


@pytest.mark.parametrize('make', [
    contrast, lambda: ReferenceContrast(LOSS, 'all')])
def test_without_items_the_loss_is_zero(make):
    embeds = embeddings().requires_grad_()
    found = make()(embeds, torch.full_like(ROWS, -1))
    assert all(v == 0 for v in found.values())
    sum(found.values()).backward()
    assert not embeds.grad.any()


@pytest.mark.parametrize('make', [
    contrast, lambda: ReferenceContrast(LOSS, 'previous')])
def test_clips_are_apart_and_padding_says_nothing(make):
    embeds = embeddings()
    both = make().items(embeds, ROWS)
    padded = torch.cat((ROWS, torch.full((2, 4, 2), -1)), 2)
    more = make()(embeds, padded)
    for name, value in make()(embeds, ROWS).items():
        torch.testing.assert_close(more[name], value)
    for b in range(2):
        alone = make().items(embeds[b:b + 1], ROWS[b:b + 1])
        mine = slice(b, None, 2) if make is contrast else slice(
            3 * b, 3 * b + 3)
        for x, y in zip(alone, both, strict=True):
            assert torch.equal(x, y[mine])


def test_half_precision_is_computed_in_single():
    embeds = embeddings()
    full = contrast()(embeds, ROWS)
    with torch.autocast('cpu', torch.bfloat16):
        half = contrast()(embeds.bfloat16(), ROWS)
    for name, value in half.items():
        assert value.dtype == torch.float32
        assert value == pytest.approx(full[name].item(), rel=.05)


# -- reference frames ---------------------------------------------------------
def test_previous_frames():
    embeds = embeddings()
    loss = ReferenceContrast(LOSS, 'previous')
    found = loss(embeds, ROWS)
    items = []
    for clip, own in zip(embeds, ROWS.tolist(), strict=True):
        for t in range(1, 4):
            for here, there in zip(own[t], own[t - 1], strict=True):
                if here >= 0 and there >= 0:
                    far = [e for q, e in enumerate(clip[t - 1]) if q != there]
                    items.append((clip[t][here], clip[t - 1][there], far))
    assert len(items) == 4
    first, second = expected(items)
    assert found['loss_embed'] == pytest.approx(first, rel=1e-5)
    assert found['loss_embed_aux'] == pytest.approx(second, rel=1e-5)


def test_all_frames_but_a_drawn_one(monkeypatch):
    """Draws 0.6 and 0.1 of four frames are frames 2 and 0."""
    monkeypatch.setattr(torch, 'rand', lambda *_, **__: torch.tensor(
        [[.6], [.1]]))
    embeds = embeddings()
    items = ReferenceContrast(LOSS, 'all').items(embeds, ROWS)
    assert torch.equal(items.others.unflatten(0, (2, 3)), torch.stack((
        embeds[0, [3, 0, 1]], embeds[1, [1, 2, 3]])))
    # Of clip 0 only object 2 is in frame 2, of clip 1 object 0 in frame 0.
    assert items.valid.tolist() == [
        [False, False, True], [False] * 3, [False] * 3,
        [False] * 3, [True, False, False], [True, False, False]]
    assert torch.equal(items.anchors[0, 2], embeds[0, 2, 4])
    assert items.positives[0, 2].nonzero().tolist() == [[1]]
    assert items.negatives[0, 2].sum() == 5


# -- refusals -----------------------------------------------------------------
@pytest.mark.parametrize('make, message', [
    (lambda: contrast(major='bank'), 'major must be'),
    (lambda: contrast(supplementary='far'), 'supplementary must be'),
    (lambda: contrast(major=None, supplementary=None), 'nothing to learn'),
    (lambda: ReferenceContrast(LOSS, 'next'), 'reference must be'),
    (lambda: contrast()(embeddings()[:, :1], ROWS[:, :1]), 'num_frames'),
])
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_memory_is_that_of_the_registry():
    assert isinstance(contrast(), MemoryContrast)
    assert type(contrast().memory).__name__ == 'SimilarityMemory'
