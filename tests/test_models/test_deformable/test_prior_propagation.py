"""Reference points and class scores from frame to frame, by hand."""
import math

import pytest
import torch
from torch import nn

from mmvis_memcnp.models.segmenters.deformable import (
    ClassPrior,
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


@pytest.mark.parametrize('options, previous, expected', [
    ({}, None, (.5, .8)),
    ({}, PREVIOUS, (sigmoid(.2), sigmoid(.4))),
    (dict(combine='add'), PREVIOUS, (sigmoid(.9), sigmoid(1.3))),
    (dict(combine=None), PREVIOUS, (.5, .8)),
    (dict(source='position'), None, (.1, .2)),
    (dict(source='position'), PREVIOUS, (sigmoid(.04), sigmoid(.1))),
])
def test_reference_points(options, previous, expected):
    point = ReferencePrior(**options)(layer(), CONTENT, POSITION, previous)
    assert point.shape == (1, 1, 2)
    assert point[0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_points_follow_the_video_only_from_the_content():
    other = torch.tensor([[[1., -1.]]])
    for source, moves in (('content', True), ('position', False)):
        prior = ReferencePrior(source)
        points = [prior(layer(), c, POSITION, PREVIOUS)
                  for c in (CONTENT, other)]
        assert torch.equal(*points) != moves


@pytest.mark.parametrize('options', [
    dict(source='query'), dict(combine='mean')])
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
