"""IFR: the recurrence, losses across frames, augmentation.

test_mask2former_clips.py has what it shares with Mask2Former-VIS.
"""
import copy
import math

import pytest
import torch

from mmvis_memcnp.models.losses import CrossFrameLoss, SampledMaskLoss
from mmvis_memcnp.models.segmenters.mask2former import ClipQueries
from mmvis_memcnp.models.truth import Matches
from tests.fakes.gradients import parts_reached
from tests.fakes.tiny_ifr import tiny_model
from tests.fakes.tiny_mask2former_vis import clips_of, frames_of, truth_of
from tests.fakes.tiny_seqformer import clip
from tests.fakes.tiny_sipmask import losses


@pytest.fixture(scope='module')
def model():
    return tiny_model().eval()


# -- the decoder ------------------------------------------------------------
def test_who_knows_whom_in_the_first_layer(model):
    """Frame queries know the frames up to their own; clip queries all."""
    one = copy.deepcopy(model)
    one.segmenter.decoder.num_layers = 1
    clips = clips_of(1, 4)
    other = clips.clone()
    other[:, 2] = clips_of(1, 1, seed=5)[:, 0]
    with torch.no_grad():
        before, after = one.segment(clips), one.segment(other)
    same = (before.mask_embeds[-1, 0] - after.mask_embeds[-1, 0]).abs().amax(
        (1, 2)) < 1e-5
    assert same.tolist() == [True, True, False, False]
    assert (before.logits - after.logits).abs().max() > 1e-4


def test_later_layers_know_the_whole_clip(model):
    clips = clips_of(1, 3)
    other = clips.clone()
    other[:, 2] = clips_of(1, 1, seed=5)[:, 0]
    with torch.no_grad():
        before, after = model.segment(clips), model.segment(other)
    assert (before.mask_embeds[-1, 0, 0] -
            after.mask_embeds[-1, 0, 0]).abs().max() > 1e-4


def test_learned_queries_are_the_same_in_all_frames(model):
    trained = copy.deepcopy(model).train()
    found = trained.segment(clips_of(1, 3))
    assert torch.equal(found.mask_embeds[0, 0, 0], found.mask_embeds[0, 0, 2])
    assert not torch.allclose(found.mask_embeds[1, 0, 0],
                              found.mask_embeds[1, 0, 2], atol=1e-4)


def test_classes_start_from_their_prior():
    decoder = tiny_model().segmenter.decoder
    assert decoder.cls_embed.bias.sigmoid().tolist() == pytest.approx(
        [.01] * 3)
    assert decoder.class_scores(torch.zeros(2, 3)).eq(.5).all()


@pytest.mark.parametrize('stored, kept', [(9, 7), (7, 7), (5, 5)])
def test_weights_of_other_numbers_of_queries(stored, kept):
    """Of more the first are taken; fewer are left to be refused."""
    state = {f'd.{n}.weight': torch.arange(stored * 2.).view(stored, 2)
             for n in ('query_feat', 'query_embed')}
    tiny_model().segmenter.decoder.adapt_weights(state, 'd.')
    assert all(x.tolist() == torch.arange(kept * 2.).view(kept, 2).tolist()
               for x in state.values())


# -- losses -----------------------------------------------------------------
def test_what_every_loss_teaches(model):
    """Masks come from frame queries: the clip layers of the last layer learn
    from classes alone."""
    trained = copy.deepcopy(model).train()
    torch.manual_seed(0)
    out = losses(trained, clip())
    assert 'cls_embed' not in parts_reached(trained, out['loss_mask'])
    trained.zero_grad()
    out['loss_mask'].backward(retain_graph=True)
    decoder = trained.segmenter.decoder

    def learns(layer):
        return any(p.grad is not None and p.grad.any()
                   for p in layer.parameters())

    assert learns(decoder.clip_layers[0]) and learns(decoder.frame_layers[1])
    assert not learns(decoder.clip_layers[1])


def some(layers=3, frames=3, queries=4, seed=0):
    """Predictions, two objects, the second absent at first, and pairs."""
    g = torch.Generator().manual_seed(seed)
    masks = torch.rand(1, 2, frames, 16, 16, generator=g) > .6
    masks[0, 1, 0] = False
    return (torch.randn(layers, 1, queries, 3, generator=g),
            torch.randn(layers, 1, frames, queries, 6, generator=g),
            torch.randn(1, frames, 6, 8, 8, generator=g),
            Matches.of_objects(torch.tensor([[[2, 0]]] * layers), queries),
            truth_of(masks, torch.tensor([[1, 2]])))


@pytest.fixture
def everywhere(monkeypatch):
    """Points are the cells of the map."""
    centres = (torch.arange(8) + .5) / 8
    grid = torch.stack((centres.expand(8, 8), centres[:, None].expand(8, 8)),
                       -1).view(1, 64, 2)
    monkeypatch.setattr(
        'mmvis_memcnp.models.losses.sampled_mask.uncertain_points',
        lambda logits, *_: grid.repeat(len(logits), 1, 1))


@pytest.mark.parametrize('weight', [0., .3, 1.])
def test_cross_frame_losses_by_hand(everywhere, weight):
    """A pair of frames at a time; none before the first layer."""
    logits, embeds, features, pairs, gt = some()
    out = CrossFrameLoss(cross_weight=weight, num_points=64)(
        logits, embeds, features, pairs, gt)
    small = gt.masks[..., ::2, ::2] + gt.masks[..., 1::2, ::2].float() + \
        gt.masks[..., ::2, 1::2] + gt.masks[..., 1::2, 1::2]
    for layer, prefix in ((0, 'd0.'), (1, 'd1.'), (2, '')):
        mask = dice = 0.
        for query, g in ((2, 0), (0, 1)):
            for t1 in range(3):
                for t2 in range(3):
                    factor = 1. if t1 == t2 else weight * (layer > 0)
                    x = torch.einsum('d,dhw->hw', embeds[layer, 0, t1, query],
                                     features[0, t2])
                    p, t = x.sigmoid(), small[0, g, t2] / 4
                    bce = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
                    mask += factor * bce
                    dice += factor * (1 - (2 * (p * t).sum() + 1) / (
                        p.sum() + t.sum() + 1))
        assert out[f'{prefix}loss_mask'].item() == pytest.approx(
            5 * mask.item() / 2, rel=1e-4)
        assert out[f'{prefix}loss_dice'].item() == pytest.approx(
            5 * dice.item() / 2, rel=1e-4)


def test_classes_by_hand():
    """Focal loss of every query and class, by the number of objects."""
    logits, *args = some(layers=1)
    out = CrossFrameLoss(num_points=20)(logits, *args)
    total, of = 0., {2: 1, 0: 2}  # class of the object of a query
    for query in range(4):
        for k in range(3):
            p = logits[0, 0, query, k].sigmoid().item()
            total += (.25 * (1 - p)**2 * -math.log(p) if of.get(query) == k
                      else .75 * p**2 * -math.log(1 - p))
    assert out['loss_cls'].item() == pytest.approx(2 * total / 2, rel=1e-4)


def test_without_a_weight_they_are_those_of_mask2former(everywhere):
    logits, *args = some()
    ours = CrossFrameLoss(cross_weight=0., num_points=64)(logits, *args)
    theirs = SampledMaskLoss(num_points=64)(
        torch.cat((logits, logits[..., :1]), -1), *args)
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]) != ('cls' in name), name


# -- augmentation -----------------------------------------------------------
def test_the_same_resolution_twice_is_as_once(model):
    """Whatever the pivot: averages of equal results."""
    frames, metas = frames_of(model, 3)
    results = []
    for scales, pivot in (((1., ), 0), ((1., 1.), 1)):
        made = tiny_model(scales=scales, pivot=pivot).eval()
        results.append(made.decode(made.encode(frames, metas), [
            dict(m, batch_input_shape=(64, 64)) for m in metas]))
    torch.testing.assert_close(results[0].class_scores,
                               results[1].class_scores)
    torch.testing.assert_close(
        *(r.mask_logits.clamp(-9, 9) for r in results), atol=1e-3, rtol=0)


def given(order, seed=0):
    """A result of five queries whose rows stand in an order."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.full((5, 3), -4.)
    logits[torch.arange(5), torch.tensor([0, 1, 2, 0, 1])] = 4.
    masks = 4 * torch.randn(1, 2, 5, 16, 16, generator=g)
    own = torch.eye(5).expand(1, 1, 2, -1, -1)
    return ClipQueries(logits[None, None, order], own, masks[:, :, order])


@pytest.mark.parametrize('pivot', [0, 1])
def test_results_are_matched_to_the_pivot(pivot):
    """Another order of the same queries is undone."""
    made = tiny_model(scales=(1., 1.), pivot=pivot)
    orders = torch.tensor([[0, 1, 2, 3, 4], [3, 0, 4, 1, 2]])
    found = [given(order) for order in orders]
    matched = made._match(found, [f.logits[0, 0].sigmoid() for f in found])
    assert matched[pivot].tolist() == [0, 1, 2, 3, 4]
    for own, order in zip(orders, matched, strict=True):
        assert own[order].tolist() == orders[pivot].tolist()


def test_long_clips_are_matched_in_float16():
    """Look-alikes, which masks alone tell apart, in a clip whose mask costs
    are sums beyond float16."""
    g = torch.Generator().manual_seed(0)
    order = torch.randperm(12, generator=g)
    there = torch.rand(1, 1, 12, 16, 16, generator=g) > torch.linspace(
        .05, .8, 12)[:, None, None]
    masks = (there * 20. - 10).expand(-1, 36, -1, -1, -1)
    logits = torch.full((12, 3), -4.)
    logits[:, 0] = 4.
    own = torch.eye(12).expand(1, 1, 36, -1, -1)
    found = [ClipQueries(logits[None, None], own, masks[:, :, rows])
             for rows in (torch.arange(12), order)]
    made = tiny_model(scales=(1., 1.), pivot=0)
    with torch.autocast('cpu', torch.float16):
        matched = made._match(found, [logits.sigmoid()] * 2)[1]
    assert order[matched].tolist() == list(range(12))


def test_sizes_of_all_resolutions(model):
    """Masks on the canvas of the input, also where nothing divides it."""
    made = tiny_model(scales=(.5, 1., 1.3), pivot=2).eval()
    for size in ((41, 90), (64, 64)):
        frames = clips_of(1, 2, size)[0]
        metas = [dict(img_shape=size, ori_shape=(50, 70),
                      batch_input_shape=size)] * 2
        found = made.decode(made.encode(frames, metas), metas)
        assert found.mask_logits.shape == (
            7, 2, -(-size[0] // 4), -(-size[1] // 4))
        session = made.session()
        session.step(frames, metas)
        assert len(session.finish().tracks) == 10


def test_masks_of_resolutions_lie_over_each_other():
    """A bright square stays where it is at any resolution: of random queries
    the masks at twice the size resemble those at the size itself."""
    plain, double = (tiny_model(scales=s).eval() for s in ((1., ), (2., )))
    frames = torch.zeros(1, 3, 64, 64)
    frames[..., 16:40, 8:32] = 3.
    metas = [dict(img_shape=(64, 64), ori_shape=(64, 64),
                  batch_input_shape=(64, 64))]
    sums = []
    for made in (plain, double):
        with torch.no_grad():
            item, = made.encode(frames, metas)
        features = (item if made is plain else item[0]).mask_features
        edges = (features[..., 1:] - features[..., :-1]).abs().sum((0, 1, 2))
        sums.append(edges.argmax().item() / features.shape[-1])
    assert sums[0] == pytest.approx(sums[1], abs=.08)


@pytest.mark.parametrize('settings', [
    dict(scales=()), dict(scales=(1., 0.)), dict(scales=(1., 2.), pivot=2),
    dict(scales=(1., 1e-3)),  # frames of a few pixels
    dict(scales=(1., float('nan'))), dict(scales=(1., 100.))])
def test_bad_augmentation_is_refused(settings):
    with pytest.raises(ValueError, match='scales'):
        tiny_model(**settings)
