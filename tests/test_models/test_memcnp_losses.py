"""Training rules of MemCNP and the contrastive loss."""
import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
)

from mmvis_memcnp.models.layers.segments import segment_logsumexp, segment_mean
from mmvis_memcnp.models.memcnp import (
    ContrastiveTrackingLoss,
    MemCNPLoss,
    Support,
    target_uncertainty,
)
from mmvis_memcnp.models.memcnp.distribution import in_object_unit

RULES = ('gmm', 'nll', 'energy')


def batch(num=7, num_gts=4, seed=0):
    """Random supports; the last ground truth has none."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=g, dtype=torch.double)

    return Support(
        mu=rand(num, 4),
        sigma=rand(num, 4) + 0.2,
        phi=rand(num),
        gt_index=torch.arange(num) % (num_gts - 1),
        gt_boxes=rand(num_gts, 4),
        uncertainty=rand(num) * 2)


def test_eq_10_by_hand():
    """Two Gaussians with weights 3 : 1 around one box."""
    loss = MemCNPLoss('gmm', sigma_weight=0., box_unit='image')(
        Support(
            mu=torch.tensor([[0.5] * 4, [1.0] * 4]),
            sigma=torch.tensor([[0.5] * 4, [1.0] * 4]),
            phi=torch.tensor([0.9, 0.3]),
            gt_index=torch.tensor([0, 0]),
            gt_boxes=torch.tensor([[0.5] * 4]),
            uncertainty=torch.zeros(2)))
    density = (0.75 * 2**4 + 0.25 * math.exp(-0.5)) / (2 * math.pi)**2
    assert loss.item() == pytest.approx(-math.log(density) / 2, rel=1e-6)


@pytest.mark.parametrize('unit', ['object', 'image'])
def test_mixture_is_that_of_torch_per_ground_truth(unit):
    data = batch()
    score, _ = MemCNPLoss('gmm', box_unit=unit).terms(data)
    for g in range(3):
        own, box = data.gt_index == g, data.gt_boxes[g]
        mu = data.mu[own]
        if unit == 'object':
            mu, box = in_object_unit(mu, box), in_object_unit(box, box)
        mixture = MixtureSameFamily(
            Categorical(data.phi[own] + 1e-9),
            Independent(Normal(mu, data.sigma[own]), 1))
        assert torch.allclose(score[g], -mixture.log_prob(box))
    assert score[3] == 0


def test_regulariser_and_means_by_hand():
    """Smooth L1: 0.5 d^2 below 1, d - 0.5 above; gt 1 has no support."""
    options = dict(box_unit='image', sigma_norm='smooth_l1', alpha='support')
    data = Support(
        mu=torch.zeros(3, 4),
        sigma=torch.tensor([[1.] * 4, [2.] * 4, [0.5] * 4]),
        phi=torch.ones(3),
        gt_index=torch.tensor([0, 0, 2]),
        gt_boxes=torch.zeros(3, 4),
        uncertainty=torch.tensor([0.5, 0.5, 0.5]))
    _, regulariser = MemCNPLoss(**options).terms(data)
    assert regulariser.tolist() == [(0.125 + 1.0) / 2, 0, 0]
    full = MemCNPLoss('nll', **options)(data)
    without = MemCNPLoss('nll', sigma_weight=0., **options)(data)
    assert (full - without).item() == pytest.approx(0.5625 / 2)
    log_2pi = 2 * math.log(2 * math.pi)
    scores = [log_2pi + 0.5 * 4 * math.log(2), log_2pi + 4 * math.log(0.5)]
    # alpha: the first box has two samples, the second one
    assert without.item() == pytest.approx((scores[0] / 2 + scores[1]) / 2)


def test_released_normalisers():
    data = batch()
    loss = MemCNPLoss(
        'gmm', alpha='points', box_unit='image', sigma_samples='positives',
        sigma_norm='smooth_l1', reduction='image_sum')
    score, regulariser = loss.terms(data)
    expected = (score / 50 + regulariser).sum() / 2
    assert torch.allclose(loss(data, num_points=50, num_images=2), expected)
    with pytest.raises(ValueError, match='num_points'):
        loss(data)
    with pytest.raises(ValueError, match='num_images'):
        loss(data, num_points=50)


def test_energy_score_by_hand():
    """Noise of +1 and -1: draws at mu + sigma and mu - sigma, in units of
    the object, whose edges mu is on."""
    noise = torch.ones(2, 1, 4)
    noise[1] = -1
    loss = MemCNPLoss('energy', sigma_weight=0.)(
        Support(
            mu=torch.full((1, 4), 0.5),
            sigma=torch.full((1, 4), 0.25),
            phi=torch.ones(1),
            gt_index=torch.tensor([0]),
            gt_boxes=torch.full((1, 4), 0.5),
            uncertainty=torch.zeros(1)),
        samples=noise)
    # distance to the box 2 * 0.25 both times; between the draws 2 * 0.5
    assert loss.item() == pytest.approx(0.5 - 0.5 * 1.0)


@pytest.mark.parametrize('rule', RULES)
def test_gradients(rule):
    data = batch()
    samples = torch.randn(5, 7, 4, dtype=torch.double)
    loss = MemCNPLoss(rule)
    assert torch.autograd.gradcheck(
        lambda m, s: loss(data._replace(mu=m, sigma=s), samples=samples),
        (data.mu.requires_grad_(), data.sigma.requires_grad_()))


@pytest.mark.parametrize('rule', RULES)
def test_batched_is_one_by_one(rule):
    data = batch(num=12, num_gts=5)
    samples = torch.randn(6, 12, 4, dtype=torch.double)
    loss = MemCNPLoss(rule)
    singles = []
    for g in range(4):
        own = data.gt_index == g
        singles.append(
            loss(
                data._replace(
                    gt_index=data.gt_index[own] * 0,
                    gt_boxes=data.gt_boxes[g:g + 1],
                    **{
                        k: getattr(data, k)[own]
                        for k in ('mu', 'sigma', 'phi', 'uncertainty')
                    }),
                samples=samples[:, own]))
    # Every ground truth is an image of its own.
    assert torch.allclose(
        loss(data, per_image=1, samples=samples),
        torch.stack(singles).mean())


@pytest.mark.parametrize('rule', RULES)
def test_order_of_samples_and_ground_truths_does_not_matter(rule):
    data = batch(num=12, num_gts=5)
    samples = torch.randn(6, 12, 4, dtype=torch.double)
    loss = MemCNPLoss(rule)
    expected = loss(data, samples=samples)
    order, gts = torch.randperm(12), torch.randperm(5)
    moved = Support(*(
        data.gt_boxes[gts] if k == 'gt_boxes' else v[order]
        for k, v in data._asdict().items()))
    moved = moved._replace(gt_index=gts.argsort()[moved.gt_index])
    assert torch.allclose(
        loss(moved, samples=samples[:, order]), expected)


@pytest.mark.parametrize('alpha, divisors', [
    # three images of two ground truths: 3 + 2, 2 + 0 and 0 + 0 samples
    ('image', [5, 5, 2, 1, 1, 1]),
    # the samples of each ground truth
    ('support', [3, 2, 2, 1, 1, 1]),
    # all locations
    ('points', [50] * 6),
])
def test_what_alpha_counts(alpha, divisors):
    data = batch()._replace(
        gt_index=torch.tensor([0, 0, 0, 1, 1, 2, 2]),
        gt_boxes=torch.rand(6, 4, dtype=torch.double))
    criterion = MemCNPLoss(alpha=alpha, sigma_weight=0.)
    score, _ = criterion.terms(data)
    loss, supported = criterion.per_box(data, num_points=50, per_image=2)
    assert torch.allclose(loss, score / torch.tensor(divisors))
    assert supported.tolist() == [True] * 3 + [False] * 3
    assert (loss[:3] != 0).all()


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('num_gts', [0, 3])
def test_no_support_is_zero_with_the_graph(rule, num_gts):
    mu = torch.zeros(0, 4, requires_grad=True)
    loss = MemCNPLoss(rule)(
        Support(mu, mu + 1, mu.sum(1), torch.zeros(0, dtype=torch.long),
                torch.zeros(num_gts, 4), torch.zeros(0)))
    assert loss.item() == 0
    loss.backward()
    assert mu.grad is not None


def test_far_boxes_and_zero_centreness_stay_finite():
    mu = torch.zeros(2, 4, requires_grad=True)
    sigma = torch.full((2, 4), 0.1, requires_grad=True)
    loss = MemCNPLoss()(
        Support(mu, sigma, torch.zeros(2), torch.tensor([0, 0]),
                torch.full((1, 4), 50.), torch.zeros(2)))
    loss.backward()
    assert loss.isfinite() and mu.grad.isfinite().all()
    assert sigma.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    data = Support(*(
        v.half() if v.is_floating_point() else v for v in batch()))
    loss = MemCNPLoss()(data)
    assert loss.dtype == torch.float32
    single = Support(*(
        v.float() if v.is_floating_point() else v for v in data))
    assert torch.equal(loss, MemCNPLoss()(single))


def test_target_uncertainty():
    prob = torch.tensor([0.75, 1.0, 0.0], requires_grad=True)
    u = target_uncertainty(prob, torch.tensor([0.5, 1.0, 0.0]))
    assert u.tolist() == [0.75, 0, 2] and not u.requires_grad


@pytest.mark.parametrize('options', [
    dict(rule='crps'), dict(alpha='none'), dict(reduction='mean'),
    dict(box_unit='pixel'), dict(sigma_samples='all'), dict(sigma_norm='l2')])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MemCNPLoss(**options)


def test_defaults_are_the_first_choices():
    loss = MemCNPLoss()
    for name, values in MemCNPLoss.choices.items():
        assert getattr(loss, name) == values[0], name


def test_segments_with_an_empty_group():
    values = torch.tensor([1., 3., 1000.])
    index = torch.tensor([0, 0, 2])
    assert segment_mean(values, index, 3).tolist() == [2, 0, 1000]
    lse = segment_logsumexp(values, index, 3)
    assert torch.allclose(
        lse, torch.tensor([math.log(math.e + math.e**3), 0, 1000.]))


# -- eq 16 ----------------------------------------------------------------
def test_eq_16_by_hand():
    """One positive with cosine 1; three negatives with cosine 0."""
    loss = ContrastiveTrackingLoss(temperature=1.)(
        torch.tensor([[2., 0], [0, 5.]]), torch.tensor([1, 2]),
        torch.tensor([[3., 0]]), torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(math.e / (math.e + 3)))


def test_pairs_of_one_frame_and_object_count_for_nothing():
    """Two candidates of one object: both are positives, no negative."""
    keys = torch.tensor([[1., 0], [0, 1.]], requires_grad=True)
    loss = ContrastiveTrackingLoss()(keys, torch.tensor([4, 4]),
                                     torch.tensor([[1., 0]]),
                                     torch.tensor([4]))
    assert loss.item() == 0


def test_contrast_is_the_double_sum_of_the_equation():
    g = torch.Generator().manual_seed(3)
    keys, refs = torch.randn(6, 5, generator=g), torch.randn(4, 5, generator=g)
    key_ids = torch.tensor([0, 0, 1, 2, 3, 9])
    ref_ids = torch.tensor([1, 0, 3, 7])
    pos = neg = 0.
    for i, a in enumerate(keys):
        for j, b in enumerate(refs):
            e = math.exp(F.cosine_similarity(a, b, 0).item() / 0.5)
            pos, neg = (pos + e, neg) if key_ids[i] == ref_ids[j] else (
                pos, neg + e)
        for j, b in enumerate(keys):
            if key_ids[i] != key_ids[j]:
                neg += math.exp(F.cosine_similarity(a, b, 0).item() / 0.5)
    loss = ContrastiveTrackingLoss(temperature=0.5)(keys, key_ids, refs,
                                                    ref_ids)
    assert loss.item() == pytest.approx(-math.log(pos / (pos + neg)),
                                        rel=1e-5)


def test_contrast_gradient_and_scale():
    keys = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    refs = torch.randn(3, 3, dtype=torch.double, requires_grad=True)
    key_ids, ref_ids = torch.tensor([0, 1, 2, 5]), torch.tensor([2, 0, 8])
    loss = ContrastiveTrackingLoss()
    assert torch.autograd.gradcheck(
        lambda k, r: loss(k, key_ids, r, ref_ids), (keys, refs))
    weighted = ContrastiveTrackingLoss(loss_weight=3.)
    assert torch.allclose(
        weighted(keys * 7, key_ids, refs, ref_ids),
        3 * loss(keys, key_ids, refs, ref_ids))


@pytest.mark.parametrize('num_keys, num_refs', [(0, 0), (0, 2), (2, 0),
                                                (2, 2)])
def test_without_a_positive_pair_it_is_zero_with_the_graph(
        num_keys, num_refs):
    keys = torch.randn(num_keys, 3, requires_grad=True)
    refs = torch.randn(num_refs, 3, requires_grad=True)
    loss = ContrastiveTrackingLoss()(keys, torch.arange(num_keys), refs,
                                     torch.arange(num_refs) + 10)
    loss.backward()
    assert loss.item() == 0
    for x in (keys, refs):
        assert x.grad is not None and not x.grad.any()


def test_contrast_is_stable_in_half_precision():
    keys = torch.tensor([[100., 0.], [0., 100.]]).half().requires_grad_()
    loss = ContrastiveTrackingLoss(temperature=0.01)(
        keys, torch.tensor([0, 1]), -keys.detach(), torch.tensor([0, 1]))
    loss.backward()
    # positives at -100, negatives at 0: the log of (4 + 2 e^-100) / 2 e^-100
    assert loss.item() == pytest.approx(100 + math.log(2), rel=1e-3)
    assert keys.grad.isfinite().all()
