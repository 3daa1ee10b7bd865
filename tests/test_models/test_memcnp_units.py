"""Units of the box distribution, and what R_sigma is taken over."""
import math

import pytest
import torch
from mmdet.registry import MODELS

from mmvis_memcnp.models.memcnp import CNP, MemCNP, MemCNPLoss, Support
from mmvis_memcnp.models.memcnp.distribution import (
    MIN_HALF_SIDE,
    half_sides,
    in_object_unit,
)
from mmvis_memcnp.models.memcnp.hosts.keys import point_key, query_key
from mmvis_memcnp.models.memcnp.losses import Candidates

#: An object of .4 x .2 of the image around (.5, .4).
OBJECT = [.3, .3, .7, .5]


@pytest.mark.parametrize('box, object_, expected', [
    # an object's own box
    (OBJECT, OBJECT, [-1, -1, 1, 1]),
    # its centre
    ([.5, .4, .5, .4], OBJECT, [0, 0, 0, 0]),
    # moved to the right by a quarter of its width: half of half a side
    ([.4, .3, .8, .5], OBJECT, [-.5, -1, 1.5, 1]),
    # a quarter of its height too low at the bottom edge alone
    ([.3, .3, .7, .55], OBJECT, [-1, -1, 1, 1.5]),
    # a line: half its height counts as .02 of the image
    ([.3, .4, .7, .41], [.3, .4, .7, .4], [-1, 0, 1, .5]),
    # no box at all, as padding
    ([.01, 0, 0, -.02], [0, 0, 0, 0], [.5, 0, 0, -1]),
])
def test_unit_of_the_object_by_hand(box, object_, expected):
    found = in_object_unit(torch.tensor(box), torch.tensor(object_))
    assert torch.allclose(found, torch.tensor(expected).float(), atol=1e-5)


@pytest.mark.parametrize('box, expected', [
    (OBJECT, [.2, .1, .2, .1]),
    # just above and below the least half side
    ([.3, .3, .35, .33], [.025, MIN_HALF_SIDE, .025, MIN_HALF_SIDE]),
    ([.5, .5, .4, .5], [MIN_HALF_SIDE] * 4),
])
def test_half_sides_by_hand(box, expected):
    assert torch.allclose(half_sides(torch.tensor(box)),
                          torch.tensor(expected))


def one_sample(mu, box, sigma=.25, uncertainty=.25):
    """A sample of one object; its sigma is on its target."""
    return Support(
        torch.tensor([mu]), torch.full((1, 4), sigma), torch.ones(1),
        torch.tensor([0]), torch.tensor([box]), torch.tensor([uncertainty]))


def peak(sigma):
    """L_nll of a box that is met."""
    return 2 * math.log(2 * math.pi) + 4 * math.log(sigma)


@pytest.mark.parametrize('unit, mu, z', [
    # a quarter of its width to the right, at two edges: .5 / sigma each
    ('object', [.4, .3, .8, .5], [.5 / .25] * 2),
    # a quarter of its height at one edge, where the sigma counts the same
    ('object', [.3, .3, .7, .55], [.5 / .25]),
    # in fractions of the image the two have z of .1 and .05 / sigma
    ('image', [.4, .3, .8, .5], [.1 / .25] * 2),
    ('image', [.3, .3, .7, .55], [.05 / .25]),
])
def test_likelihood_in_each_unit_by_hand(unit, mu, z):
    data = one_sample(mu, OBJECT)
    loss = MemCNPLoss(box_unit=unit)(data)
    assert loss.item() == pytest.approx(
        peak(.25) + sum(x**2 for x in z) / 2, rel=1e-5)


def test_likelihood_of_objects_does_not_depend_on_their_size():
    """Down to 4 % of the image, below which it grows no more."""
    losses = []
    for size in (.8, .4, .1, .04, .01, 0.):
        off = max(size, 2 * MIN_HALF_SIDE) / 4
        box = [.1, .1, .1 + size, .1 + size]
        losses.append(MemCNPLoss()(one_sample(
            [box[0] + off, *box[1:]], box)).item())
    expected = peak(.25) + 2**2 / 2
    assert losses == pytest.approx([expected] * 6, rel=1e-4)


@pytest.mark.parametrize('rule', MemCNPLoss.choices['rule'])
def test_lines_and_points_train_like_other_boxes(rule):
    """Errors of the size that a thin object's neighbours have are bounded,
    in loss and gradient, by those of the least half side."""
    mu = torch.tensor([[.3, .32, .7, .36]], requires_grad=True)
    data = one_sample([0.] * 4, [.3, .3, .7, .3])._replace(mu=mu)
    noise = torch.randn(8, 1, 4)
    loss = MemCNPLoss(rule)(data, samples=noise)
    # z of 1 / .25 and 3 / .25
    assert loss.item() < peak(.25) + (4**2 + 12**2) / 2 + 1
    loss.backward()
    assert mu.grad.abs().max() <= 12 / .25 / MIN_HALF_SIDE * 1.01
    assert mu.grad[0, 1::2].abs().min() > 0


# -- what leaves with the results -----------------------------------------
@pytest.mark.parametrize('kind', [MemCNP, CNP])
@pytest.mark.parametrize('unit, box, expected', [
    # of half a side: .4 wide, .2 high
    ('object', OBJECT, [.1, .1, .4, .025]),
    # a line is as thin as a training made it
    ('object', [.3, .4, .7, .4], [.1, .02, .4, .005]),
    ('image', OBJECT, [.5, 1., 2., .25]),
])
def test_sigmas_of_the_frame_by_hand(kind, unit, box, expected):
    model = kind(box_unit=unit, num_items=2, feat_dims=3)
    found = model.frame_sigmas(torch.tensor([.5, 1., 2., .25]),
                               torch.tensor(box))
    assert torch.allclose(found, torch.tensor(expected))


def test_sigmas_of_the_frame_turn_the_unit_of_the_loss_back():
    """A deviation of the frame, of any number of boxes, is what in_object_unit
    makes sigma of."""
    g = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 3, 2, generator=g) * .5
    boxes = torch.cat((corners, corners + torch.rand(
        2, 3, 2, generator=g) * .5), -1)
    boxes[0, 0, 2:] = boxes[0, 0, :2]  # a point
    sigma = torch.rand(2, 3, 4, generator=g) + .1
    frame = MemCNP(num_items=2, feat_dims=3).frame_sigmas(sigma, boxes)
    moved = in_object_unit(boxes + frame, boxes) - in_object_unit(boxes, boxes)
    assert torch.allclose(moved, sigma, atol=1e-4)
    # z of an error is the same in the units of the loss and of the frame
    error = torch.rand(2, 3, 4, generator=g) * .1
    z = (in_object_unit(boxes + error, boxes) -
         in_object_unit(boxes, boxes)) / sigma
    assert torch.allclose(z, error / frame, rtol=1e-3)


@pytest.mark.parametrize('key', [point_key, query_key])
@pytest.mark.parametrize('given, unit', [({}, 'object'),
                                         (dict(box_unit='image'), 'image')])
def test_one_key_sets_the_unit_of_the_module_and_of_the_loss(
        key, given, unit):
    found = key(dict(type='MemCNP', num_items=2, training=dict(
        loss=dict(rule='nll')), **given))
    loss = MODELS.build(found.training['loss'])
    assert (loss.box_unit, loss.rule) == (unit, 'nll')
    assert found.build(feat_dims=3).box_unit == unit


def test_a_unit_of_the_loss_alone_is_refused():
    """Results would be read in another unit than they are trained in."""
    with pytest.raises(ValueError, match="set memcnp.box_unit='image'"):
        point_key(dict(type='MemCNP', training=dict(
            loss=dict(box_unit='image'))))
    with pytest.raises(ValueError, match='box_unit must be one of'):
        MemCNP(box_unit='pixel')


# -- R_sigma --------------------------------------------------------------
@pytest.mark.parametrize('norm, sigma, expected', [
    # |.5 - .25| at each of four edges
    ('l1', [.5] * 4, 1.),
    # of either sign, no limit: .15 + .25 + 0 + 3.75
    ('l1', [.1, .5, .25, 4.], 4.15),
    # the mean of .5 d^2, and d - .5 above 1
    ('smooth_l1', [.5] * 4, .5 * .25**2),
    ('smooth_l1', [.1, .5, .25, 4.],
     (.5 * .15**2 + .5 * .25**2 + 0 + 3.25) / 4),
])
def test_norms_of_r_sigma_by_hand(norm, sigma, expected):
    data = one_sample(OBJECT, OBJECT)._replace(sigma=torch.tensor([sigma]))
    _, found = MemCNPLoss(sigma_norm=norm).terms(data)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    weighed, alone = (MemCNPLoss(sigma_norm=norm, sigma_weight=w)(data).item()
                      for w in (3., 0.))
    assert weighed - alone == pytest.approx(3 * expected, rel=1e-4)


def test_candidates_take_the_place_of_the_positives_in_r_sigma():
    """Object 0: its positive is off by .1, the three points inside it by .1,
    .2 and .6 at each edge; object 1 has a positive, but no candidate; object
    2 has a candidate alone."""
    support = Support(
        torch.tensor([OBJECT, OBJECT]), torch.full((2, 4), .5), torch.ones(2),
        torch.tensor([0, 1]), torch.tensor([OBJECT] * 3),
        torch.tensor([.4, .4]))
    inside = Candidates(
        torch.full((4, 4), .5), torch.tensor([0, 2, 0, 0]),
        torch.tensor([.4, 1.5, .3, 1.1]))
    score, given = MemCNPLoss().terms(support, inside)
    plain_score, default = MemCNPLoss().terms(support)
    assert torch.equal(score, plain_score)
    assert torch.allclose(default, torch.tensor([.4, .4, 0]))
    assert torch.allclose(given, torch.tensor([4 * .3, 0, 4.]))


def test_candidates_of_an_object_without_support_count_for_nothing():
    """An object that no sample learns has no loss, nor a part in the mean:
    eq 10 counts objects with support."""
    sigma = torch.full((2, 4), .5, requires_grad=True)
    support = one_sample(OBJECT, OBJECT)._replace(
        gt_boxes=torch.tensor([OBJECT] * 2))
    inside = Candidates(sigma, torch.tensor([0, 1]), torch.tensor([.3, 1.1]))
    loss, supported = MemCNPLoss().per_box(support, inside)
    assert supported.tolist() == [True, False]
    assert loss.tolist() == pytest.approx([peak(.25) + 4 * .2, 0], rel=1e-5)
    total = MemCNPLoss()(support, inside)
    assert total.item() == pytest.approx(loss[0].item())
    total.backward()
    assert sigma.grad.tolist() == [[1.] * 4, [0.] * 4]


def test_candidates_in_half_precision_are_computed_in_float32():
    inside = Candidates(torch.full((1, 4), .3).half(), torch.tensor([0]),
                        torch.tensor([.1]).half())
    data = one_sample(OBJECT, OBJECT)
    _, found = MemCNPLoss().terms(data, inside)
    _, single = MemCNPLoss().terms(
        data, Candidates(inside.sigma.float(), inside.gt_index,
                         inside.uncertainty.float()))
    assert found.dtype == torch.float32 and torch.equal(found, single)
