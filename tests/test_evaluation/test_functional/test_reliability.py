"""What uncertainty is worth, where it is known."""
import math

import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import (
    Pairs,
    auroc,
    rank_correlation,
    reliability,
)


@pytest.mark.parametrize('uncertainties, failed, expected', [
    ([1, 2, 3, 4], [0, 0, 1, 1], 1.),  # every failure is less certain
    ([4, 3, 2, 1], [0, 0, 1, 1], 0.),
    ([1, 3, 2, 4], [0, 0, 1, 1], .75),  # three of four pairs
    ([1, 1, 1, 1], [0, 1, 0, 1], .5),  # a constant tells nothing
    ([1, 2, 2, 3], [0, 0, 1, 1], .875),  # ties count a half
    ([1, 2], [0, 0], math.nan),  # nothing to tell apart
    ([], [], math.nan),
])
def test_auroc_by_hand(uncertainties, failed, expected):
    assert auroc(np.array(uncertainties), np.array(failed, bool)) == (
        pytest.approx(expected, nan_ok=True))


# -- correlations -------------------------------------------------------------
@pytest.mark.parametrize('first, second, expected', [
    ([1, 2, 3], [10, 20, 90], 1.),  # the order counts, not the size
    ([1, 2, 3], [3, 2, 1], -1.),
    ([1, 2, 3, 4], [1, 3, 2, 4], .8),  # 1 - 6 * 2 / (4 * 15)
    ([1, 1, 2, 2], [1, 2, 1, 2], 0.),  # ties share their rank
    ([1, 1, 1], [1, 2, 3], math.nan),
    ([1], [1], math.nan),
])
def test_rank_correlation_by_hand(first, second, expected):
    assert rank_correlation(np.array(first), np.array(second)) == (
        pytest.approx(expected, nan_ok=True))


def textbook(x, y, *given):
    """Partial correlation of ranks by the recursion of the textbooks."""
    if not given:
        return rank_correlation(x, y)
    *rest, z = given
    xy, xz, yz = (textbook(a, b, *rest) for a, b in ((x, y), (x, z), (y, z)))
    return (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))


@pytest.mark.parametrize('count', [1, 2, 3])
def test_partial_correlation_is_that_of_the_textbook(count):
    rng = np.random.default_rng(count)
    given = rng.standard_normal((count, 200)).round(1)  # with ties
    x, y = rng.standard_normal((2, 200)) + given.sum(0)
    found = rank_correlation(x, y, *given)
    assert found == pytest.approx(textbook(x, y, *given), abs=1e-10)
    assert abs(found) < rank_correlation(x, y) - .2  # most of it was theirs


def test_what_another_thing_says_alone_is_nothing_new():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(500)
    noise = rng.standard_normal(500)
    # A function of z knows nothing beside z.
    assert math.isnan(rank_correlation(np.exp(z), z + noise, z))
    assert rank_correlation(noise, z + noise, z) > .9


# -- all numbers ----------------------------------------------------------
def honest(count=4000, dof=None, **fields):
    """Errors as large as the standard deviations say."""
    rng = np.random.default_rng(0)
    sigmas = np.repeat(rng.uniform(.1, 4, (count, 1)), 4, 1)
    noise = rng.standard_normal((count, 4)) if dof is None else \
        rng.standard_t(dof, (count, 4)) * math.sqrt((dof - 2) / dof)
    errors = sigmas * noise
    ious = 1 / (1 + np.abs(errors).mean(1))
    size = np.full((count, 4), 10.)
    return Pairs(**(dict(
        ious=ious, class_ious=ious, scores=rng.random(count),
        class_probs=rng.random(count), centernesses=rng.random(count),
        uncertainties=sigmas.mean(1), sigmas=sigmas, errors=errors,
        sides=size, frames=10 * size) | fields))


def test_informative_sigmas_and_random_scores():
    numbers = reliability(honest())
    assert numbers['num_pairs'] == 4000
    assert .4 < numbers['failures'] < .8
    assert numbers['auroc_sigma'] > .9
    for name in ('score', 'class_prob', 'centerness'):
        assert numbers[f'auroc_{name}'] == pytest.approx(.5, abs=.03)
    assert numbers['rank_sigma'] > .8
    # Scores know nothing, so that nothing of it is theirs.
    assert numbers['partial_sigma'] == pytest.approx(
        numbers['rank_sigma'], abs=.02)
    assert numbers['ause_sigma'] < .3 * numbers['ause_score']
    assert numbers['ause_score'] == pytest.approx(
        numbers['ause_random'], abs=.03)
    # Of successes alone errors are smaller than sigma says.
    assert numbers['z_std'] < 1 and numbers['coverage_90'] > .9


@pytest.mark.parametrize('true, said, coverage', [
    (None, None, (.5, .8, .9)),
    (3., 3., (.5, .8, .9)),
    # Outliers widen sigma: the normal intervals hold too many of the rest.
    (3., None, (.673, .887, .935)),
])
def test_coverage_of_known_errors(true, said, coverage):
    """Every prediction is a success; expected are the shares of a t of 3
    degrees of freedom inside the limits."""
    numbers = reliability(honest(20000, true), iou_thr=0., dof=said)
    assert numbers['failures'] == 0
    found = [numbers[f'coverage_{p}'] for p in (50, 80, 90)]
    assert found == pytest.approx(coverage, abs=.01)
    assert (numbers['ece'] < .01) == (true == said)
    if true is None:
        assert numbers['z_std'] == pytest.approx(1, abs=.02)
    assert numbers['sharpness'] == pytest.approx(2.05, abs=.05)


def test_likelihood_prefers_the_truth():
    pairs = honest(20000, 4.)
    best = reliability(pairs, 0., 4.)['nll']
    for dof, factor in ((None, 1), (4., 2), (4., .5), (30., 1)):
        pairs = honest(20000, 4.)
        pairs.sigmas *= factor
        assert reliability(pairs, 0., dof)['nll'] > best + .01
    # Of a standard normal: half the logarithm of 2 pi e.
    pairs = honest(20000)
    pairs.errors /= pairs.sigmas
    pairs.sigmas[:] = 1
    assert reliability(pairs, 0.)['nll'] == pytest.approx(
        math.log(2 * math.pi * math.e) / 2, abs=.01)


def test_a_constant_says_nothing():
    numbers = reliability(honest(uncertainties=np.full(4000, 2.)))
    assert numbers['auroc_sigma'] == .5
    assert math.isnan(numbers['rank_sigma'])
    assert math.isnan(numbers['partial_sigma'])


def test_uncertainty_that_repeats_the_score():
    """What class probability and centre-ness say is not counted twice."""
    pairs = honest()
    pairs.class_probs = -pairs.uncertainties
    numbers = reliability(pairs)
    assert numbers['rank_sigma'] > .8
    assert math.isnan(numbers['partial_sigma'])
    # Without centre-ness, as in hosts with queries, class counts alone.
    pairs = honest(centernesses=np.full(4000, np.nan))
    numbers = reliability(pairs)
    assert math.isnan(numbers['auroc_centerness'])
    assert numbers['partial_sigma'] == pytest.approx(rank_correlation(
        pairs.uncertainties, 1 - pairs.ious, pairs.class_probs))


def test_a_model_without_sigmas_is_judged_by_its_scores():
    none = np.full(200, np.nan)
    pairs = honest(200, class_probs=none, centernesses=none,
                   uncertainties=none, sigmas=np.full((200, 4), np.nan))
    pairs.scores = pairs.ious
    numbers = reliability(pairs)
    assert numbers['auroc_score'] == 1 and numbers['ause_score'] == 0
    assert {name for name, value in numbers.items() if value == value} == {
        'num_pairs', 'failures', 'auroc_score', 'ause_score', 'ause_random'}
    assert reliability(Pairs.join([]))['num_pairs'] == 0
