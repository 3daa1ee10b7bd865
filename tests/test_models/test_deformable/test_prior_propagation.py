"""Reference points and class scores from frame to frame, by hand."""
import math

import pytest
import torch
from torch import nn

from mmvis_memcnp.models.segmenters.deformable import (
    ClassPrior,
    DecodedFrames,
    ReferencePrior,
)


def logit(p):
    return math.log(p / (1 - p))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def layer():
    """x = first channel, y = second."""
    linear = nn.Linear(2, 2)
    linear.weight.data = torch.eye(2)
    linear.bias.data.zero_()
    return linear


CONTENT = torch.tensor([[[logit(.5), logit(.8)]]])
POSITION = torch.tensor([[[logit(.1), logit(.2)]]])
PREVIOUS = torch.tensor([[[.4, .5]]])


LETTER = dict(combine='multiply')


def prior_of(**options):
    """Its own layer is :func:`layer` as well."""
    prior = ReferencePrior(2, **options)
    if prior.offset is not None:
        prior.offset = layer()
    return prior


@pytest.mark.parametrize('options, previous, expected', [
    # the first frame: W_ref q alone
    ({}, None, (.5, .8)),
    # an offset of 0 leaves x where it was; y starts in the middle, logit 0
    ({}, PREVIOUS, (.4, .8)),
    # logits add up: sigmoid(logit .8 + logit .8) = 16 / 17
    ({}, torch.tensor([[[.5, .8]]]), (.5, 16 / 17)),
    # eq 1 to the letter: the sigmoid of a product of fractions
    (LETTER, PREVIOUS, (sigmoid(.2), sigmoid(.4))),
    (dict(combine='add'), PREVIOUS, (sigmoid(.9), sigmoid(1.3))),
    (dict(combine=None), PREVIOUS, (.5, .8)),
    # from the constant positions
    (dict(source='position'), None, (.1, .2)),
    (dict(source='position', **LETTER), PREVIOUS,
     (sigmoid(.04), sigmoid(.1))),
])
def test_reference_points(options, previous, expected):
    point = prior_of(**options)(layer(), CONTENT, POSITION, previous)
    assert point.shape == (1, 1, 2)
    assert point[0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def frames_of(count, **options):
    """Points of a frame after ``count`` frames of random queries, from
    anywhere in the frame; the layers are random too."""
    generator = torch.Generator().manual_seed(0)
    prior, linear = ReferencePrior(8, **options), nn.Linear(8, 2)
    nn.init.normal_(linear.weight, generator=generator)
    if prior.offset is not None:
        prior.offset = linear
    point = torch.rand(2, 500, 2, generator=generator)
    for _ in range(count):
        query = torch.randn(2, 500, 8, generator=generator)
        point = prior(linear, query, query, point).detach()
    return point


def test_the_letter_leaves_a_square_and_logits_the_whole_frame():
    letter = frames_of(1, combine='multiply')
    assert .5 < letter.min() and letter.max() < 1 / (1 + math.exp(-1))
    logits = frames_of(1)
    assert logits.min() < .02 and logits.max() > .98


@pytest.mark.parametrize('combine, kept', [
    ('logit', True), ('multiply', False), ('add', False), (None, False)])
def test_a_new_prior_hands_the_location_on(combine, kept):
    """Over a long video, in the corners too; whatever W_ref has learnt."""
    prior = ReferencePrior(2, combine=combine)
    start = torch.rand(1, 50, 2) * .998 + .001
    point = start
    for _ in range(100):
        point = prior(layer(), CONTENT.expand(1, 50, 2), POSITION, point)
    assert torch.allclose(point, start, atol=1e-5) == kept


def test_points_at_the_very_edge_are_finite():
    corners = torch.tensor([[[0., 1.]]], requires_grad=True)
    point = prior_of()(layer(), CONTENT, POSITION, corners)
    point.sum().backward()
    assert point.isfinite().all() and corners.grad.isfinite().all()


@pytest.mark.parametrize('combine', ['logit', 'multiply', 'add'])
def test_gradients_reach_layer_query_and_last_point(combine):
    content = torch.tensor([[[.7, -1.2]]], requires_grad=True)
    last = PREVIOUS.clone().requires_grad_()
    w_ref, prior = layer(), prior_of(combine=combine)
    prior(w_ref, content, POSITION, last).sum().backward()
    trained = prior.offset if combine == 'logit' else w_ref
    for value in (content, last, trained.weight, trained.bias):
        assert value.grad.abs().min() > 0


def test_which_point_is_handed_on():
    """The first layer's, with gradient, or the last box's, without."""
    first = torch.tensor([[[.1, .2]]], requires_grad=True)
    boxes = torch.rand(3, 1, 1, 4, requires_grad=True)
    decoded = DecodedFrames(torch.zeros(3, 1, 1, 2),
                            (first, *boxes.detach()[:2]), boxes)
    assert ReferencePrior(handed_on='start').hand_on(decoded) is first
    centre = ReferencePrior(handed_on='centre').hand_on(decoded)
    assert torch.equal(centre, boxes[-1, ..., :2])
    assert not centre.requires_grad


def test_points_follow_the_video_only_from_the_content():
    other = torch.tensor([[[1., -1.]]])
    for source, moves in (('content', True), ('position', False)):
        prior = prior_of(source=source)
        points = [prior(layer(), c, POSITION, PREVIOUS)
                  for c in (CONTENT, other)]
        assert torch.equal(*points) != moves


@pytest.mark.parametrize('options', [
    dict(source='query'), dict(combine='mean'), dict(handed_on='box')])
def test_unknown_rules_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options.values()))):
        ReferencePrior(**options)


def class_prior(**kwargs):
    """T_cls is the identity."""
    prior = ClassPrior(num_classes=2, num_layers=1, num_frames=2, **kwargs)
    prior.weigh[0].weight.data = torch.eye(2)
    prior.weigh[0].bias.data.zero_()
    return prior


def scores(*p):
    return torch.tensor([[[logit(x) for x in p]]])


def test_class_scores_by_hand():
    prior = class_prior()
    past = prior.remember(scores(.9, .3), None)
    found = prior(0, scores(.5, .6), past).detach().sigmoid()[0, 0]
    for value, (old, new) in zip(found, ((.9, .5), (.3, .6)), strict=True):
        a, b = math.exp(sigmoid(old)), math.exp(sigmoid(new))
        assert float(value) == pytest.approx((a * old + b * new) / (a + b),
                                             abs=1e-6)


def test_history_is_bounded_and_drops_the_oldest():
    prior, past = class_prior(), None
    for p in (.1, .2, .3, .4):
        past = prior.remember(scores(p, .5), past)
    assert past.logits.shape == (1, 2, 1, 2)
    assert past.logits.sigmoid()[0, :, 0, 0].tolist() == pytest.approx(
        [.3, .4])


def test_first_frame_and_inactive_prior_change_nothing():
    now = scores(.2, .7)
    assert torch.equal(class_prior()(0, now, None), now)
    prior = class_prior(active=False)
    assert torch.equal(prior(0, now, prior.remember(now + 3, None)), now)


def test_a_steady_score_stays_and_extremes_are_finite():
    prior = class_prior()
    for value in (-80., 0., 80.):
        now = torch.full((1, 1, 2), value, requires_grad=True)
        out = prior(0, now, prior.remember(now.detach(), None))
        assert torch.allclose(out, now, atol=1e-4)
        out.sum().backward()
        assert now.grad.isfinite().all()


def test_a_history_of_no_frame_is_refused():
    with pytest.raises(ValueError, match='class_prior=None'):
        ClassPrior(2, 1, num_frames=0)
