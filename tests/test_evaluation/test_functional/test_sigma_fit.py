"""The map that gives uncertainty the size of the errors."""
import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import fit_sigma_map, reliability
from mmvis_memcnp.evaluation.functional.sigma_fit import isotonic

from .test_reliability import honest


@pytest.mark.parametrize('values, weights, expected', [
    ([1, 2, 3], [1, 1, 1], [1, 2, 3]),  # nothing to do
    ([3, 2, 1], [1, 1, 1], [2, 2, 2]),  # all are one pool
    ([1, 3, 2, 4], [1, 1, 1, 1], [1, 2.5, 2.5, 4]),
    ([1, 3, 2, 4], [1, 1, 3, 1], [1, 2.25, 2.25, 4]),  # by weight
    ([4, 5, 1], [1, 1, 1], [10 / 3] * 3),  # a pool violates the one before
    ([7], [2], [7]),
])
def test_isotonic_by_hand(values, weights, expected):
    assert isotonic(np.array(values), np.array(weights)) == pytest.approx(
        expected)


def test_isotonic_is_the_closest():
    """No other sequence that ascends has smaller weighted squares."""
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal(12), rng.uniform(.5, 2, 12)
    found = isotonic(values, weights)
    assert (np.diff(found) >= 0).all()
    best = (weights * (found - values)**2).sum()
    others = np.sort(found + .2 * rng.standard_normal((2000, 12)), 1)
    assert ((weights * (others - values)**2).sum(1) > best).all()


def ordering(pairs, power, unit):
    """The same predictions by a network that knows the order alone: its
    numbers are a power of the true standard deviations in a unit."""
    unit = dict(frame=pairs.frames, box=pairs.sides)[unit]
    raw = .1 + (pairs.sigmas / unit)**power
    pairs.sigmas = raw * pairs.frames
    pairs.uncertainties = raw.mean(1)
    return pairs


def sized(pairs):
    """Boxes of many sizes, whose errors grow with them."""
    rng = np.random.default_rng(1)
    scale = rng.uniform(.2, 3, (len(pairs), 2)).repeat(2, 1)[:, [0, 2, 1, 3]]
    pairs.sides = 10 * scale
    pairs.sigmas, pairs.errors = pairs.sigmas * scale, pairs.errors * scale
    pairs.ious[:] = .9
    return pairs


@pytest.mark.parametrize('dof', [None, 4.])
@pytest.mark.parametrize('power', [.5, 3.])
@pytest.mark.parametrize('unit', ['box', 'frame'])
def test_an_order_becomes_standard_deviations(dof, power, unit):
    """Whatever the unit of the errors and however bent the numbers are."""
    pairs = honest(8000, dof)
    pairs.ious[:] = .9
    if unit == 'box':
        pairs = sized(pairs)
    true = pairs.sigmas
    pairs = ordering(pairs, power, unit)
    dev, test = np.arange(8000) < 5000, np.arange(8000) >= 5000
    found = fit_sigma_map(pairs[dev])
    other = pairs[test]
    other.sigmas = found.pixels(other.sigmas, other.frames, other.sides)
    assert np.median(np.abs(other.sigmas / true[test] - 1)) < .06
    numbers = reliability(other, dof=found.dof)
    assert numbers['coverage_90'] == pytest.approx(.9, abs=.015)
    assert numbers['coverage_50'] == pytest.approx(.5, abs=.025)
    assert numbers['ece'] < .02
    assert numbers['z_std'] == pytest.approx(1, abs=.06)
    if dof is not None:
        assert 3 < found.dof < 6
    else:
        assert found.dof is None or found.dof > 20
    if unit == 'box':
        assert found.std_unit == 'box'


def test_sides_have_their_own_size():
    pairs = honest(8000)
    pairs.ious[:] = .9
    pairs.errors *= [.5, 1, 1, 2]
    found = fit_sigma_map(pairs)
    assert found.sides / found.sides[1] == pytest.approx(
        [.5, 1, 1, 2], rel=.04)
    pairs.sigmas = found.pixels(pairs.sigmas, pairs.frames, pairs.sides)
    assert np.sqrt(np.square(pairs.errors / pairs.sigmas).mean(0)) == \
        pytest.approx([1] * 4, abs=.01)


def test_a_constant_becomes_one_standard_deviation():
    pairs = honest(1000)
    pairs.ious[:] = .9
    pairs.sigmas[:] = 3.
    found = fit_sigma_map(pairs)
    assert len(found.raw) == 1
    mapped = found.pixels(pairs.sigmas, pairs.frames, pairs.sides)
    assert mapped.std(0) == pytest.approx([0] * 4, abs=1e-12)
    assert mapped[0] == pytest.approx(
        np.sqrt(np.square(pairs.errors).mean(0)), rel=1e-6)


def test_uncertainty_that_points_the_wrong_way_is_levelled():
    """A map never makes the less certain the more exact."""
    pairs = honest(4000)
    pairs.ious[:] = .9
    pairs.sigmas = 5 - pairs.sigmas
    found = fit_sigma_map(pairs)
    assert np.ptp(found.std) < .1 * found.std.mean()


def test_failures_do_not_count_and_too_few_are_refused():
    pairs = honest(4000)
    pairs.ious[:] = .9
    before = fit_sigma_map(pairs).settings()
    worse = honest(4000)
    worse.ious[:] = .4
    worse.errors += 1000
    both = type(pairs).join([pairs, worse])
    assert fit_sigma_map(both).settings() == before
    for few in (worse, pairs[np.arange(4)]):
        with pytest.raises(ValueError, match='Only [04] predictions'):
            fit_sigma_map(few)
    assert len(fit_sigma_map(pairs[np.arange(5)]).raw) == 1
    assert len(fit_sigma_map(pairs[np.arange(50)]).raw) == 4
