import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import calibration, sparsification


@pytest.fixture(scope='module')
def gaussian():
    rng = np.random.default_rng(0)
    sigmas = rng.uniform(.1, 1, (20000, 2))
    return sigmas * rng.standard_normal(sigmas.shape), sigmas


def test_honest_gaussian(gaussian):
    errors, sigmas = gaussian
    found = calibration(errors, sigmas)
    assert found.coverage.shape == (19, 2)
    np.testing.assert_allclose(
        found.coverage, np.broadcast_to(found.levels[:, None], (19, 2)),
        atol=.015)
    assert (found.error < .01).all()
    np.testing.assert_allclose(found.z_std, 1, atol=.02)
    np.testing.assert_allclose(found.sharpness, .55, atol=.01)


@pytest.mark.parametrize('factor', [.5, 2.])
def test_wrong_sigma_is_seen(gaussian, factor):
    errors, sigmas = gaussian
    found = calibration(errors, sigmas * factor)
    assert (found.error > .1).all()
    # too small a sigma covers too little
    assert ((found.coverage[9] < .5) == (factor < 1)).all()
    np.testing.assert_allclose(found.z_std, 1 / factor, rtol=.02)


def test_one_and_two_sigma_by_hand():
    # |z| = 0.5, 1.5, 2.5, 0: the central 68.27 % interval ends at 1
    found = calibration([[.5], [3.], [2.5], [0.]], [[1.], [2.], [1.], [1.]],
                        levels=[.6827, .9545])
    assert found.coverage.tolist() == [[.5], [.75]]
    assert found.sharpness.tolist() == [1.25]


@pytest.mark.parametrize('errors, sigmas', [
    (np.zeros((0, 4)), np.ones((0, 4))),
    (np.zeros((2, 4)), np.ones((2, 3))),
    (np.zeros((2, 4)), np.zeros((2, 4))),
])
def test_bad_input(errors, sigmas):
    with pytest.raises(ValueError):
        calibration(errors, sigmas)


def test_sparsification_by_hand():
    found = sparsification([4., 1., 2., 1.], [9., 1., 2., 3.],
                           fractions=[0, .25, .5, .75])
    assert found.by_uncertainty.tolist() == [2, 4 / 3, 1.5, 1]
    assert found.by_error.tolist() == [2, 4 / 3, 1, 1]
    assert found.ause == pytest.approx(.5 * .25 / 2)
    # flat at 2 against the bound: 0, 2/3, 1, 1 by trapezoids, over mean 2
    assert found.random == pytest.approx((1 / 3 + 5 / 6 + 1) * .25 / 2)


def test_sparsification_orders_informative_before_random(gaussian):
    errors, sigmas = np.abs(gaussian[0][:, 0]), gaussian[1][:, 0]
    perfect = sparsification(errors, errors)
    informed = sparsification(errors, sigmas)
    blind = sparsification(errors, np.random.default_rng(1).random(20000))
    assert perfect.ause == 0
    assert 0 < informed.ause < .8 * blind.ause
    assert blind.ause == pytest.approx(informed.random, abs=.02)
    with pytest.raises(ValueError):
        sparsification([], [])
