"""MemCNP in SipMask's head: which points USS, mixtures and sigmas take."""
import math

import pytest
import torch

from mmvis_memcnp.models.memcnp.losses import Support
from mmvis_memcnp.models.segmenters.sipmask.memcnp_targets import owners
from mmvis_memcnp.models.truth.ground_truth import GroundTruth
from tests.fakes.tiny_sipmask import clip, losses, tiny_model

#: B overlaps A; identity, label, box. Points of stride 8 at 4, 12, 20, ...
A, B = (3, 0, 0, 16, 56, 40), (8, 2, 24, 16, 46, 40)
OFFICIAL = dict(centreness_level='finest')


def model_of(assigner=None, loss=None, **head):
    """A model whose rules of MemCNP are changed."""
    return tiny_model(
        memcnp=dict(type='MemCNP', num_items=8, training=dict(
            assigner=assigner or {}, loss=loss or {})), **head)


def points_of(model, where):
    """x and y of points (B, N) of the first frame."""
    levels = model.bbox_head.points(
        [torch.zeros(1, 1, s, s) for s in (8, 4, 2, 1)])
    return [tuple(p) for p in torch.cat(levels)[where[0]].int().tolist()]


def recorded(part, name, into):
    """Keeps what a method is given and returns."""
    method = getattr(part, name)

    def call(*args, **kwargs):
        found = method(*args, **kwargs)
        into.append((args, found))
        return found

    setattr(part, name, call)


@pytest.mark.parametrize('head, chosen, phi', [
    # (36, 28) is nearest to B's centre (35, 28)
    ({}, (36, 28), math.sqrt(10 / 12)),
    # A's centre, as released: the largest of any box
    (OFFICIAL, (28, 28), 1.),
])
def test_uss_and_mixtures_take_the_centreness_in_the_own_box(
        head, chosen, phi):
    """Both points belong to B, the smaller one. lambda_tau = 0: by
    centre-ness alone."""
    model = model_of(dict(topk=1, lambda_tau=0.), **head)
    picks, terms = [], []
    recorded(model.bbox_head.assigner, 'match', picks)
    recorded(model.bbox_head.loss_cnp, 'terms', terms)
    losses(model, clip([A, B], [A, B]))
    (_, picked), ((support, *_), _) = picks[0], terms[0]
    assert isinstance(support, Support)
    of_b = picked.gt_index == 1
    # of the first level; the coarser ones follow
    assert points_of(model, of_b)[0] == chosen
    own = support.phi[support.gt_index == 1]
    assert own[0].item() == pytest.approx(phi, abs=1e-5)


def sigma_gradients(loss):
    """Points of a frame with A and B whose sigma R_sigma reaches."""
    model = model_of(dict(topk=1), loss)
    kept, picks = [], []
    recorded(model.bbox_head, 'forward', kept)
    recorded(model.bbox_head.assigner, 'match', picks)
    found = losses(model, clip([A, B], [A, B]))
    sigmas = kept[0][1].sigmas
    grads = torch.autograd.grad(found['loss_cnp'], sigmas)
    return model, (torch.cat(grads, 1) != 0).all(-1), picks[0][1]


def test_sigmas_learn_at_all_points_inside_boxes():
    model, learns, picked = sigma_gradients({})
    found = points_of(model, learns)
    inside = [(x, y) for x, y in points_of(model, torch.ones_like(learns))
              if x <= 56 and 16 <= y <= 40]
    assert found == inside and len(inside) > 3 * int(picked.pos.sum())


def test_sigmas_learn_at_the_positives_alone_as_released():
    _, learns, picked = sigma_gradients(dict(sigma_samples='positives'))
    assert torch.equal(learns, picked.pos) and learns.any()


def test_sigmas_learn_that_there_is_nothing_outside_of_boxes():
    loss = dict(sigma_samples='everywhere')
    _, learns, _ = sigma_gradients(loss)
    assert learns.all()
    # By hand: the mean distance to 2 of the other points' four sigmas.
    found = {}
    for samples in ('everywhere', 'inside'):
        torch.manual_seed(0)
        model = model_of(dict(topk=1), dict(sigma_samples=samples))
        kept = []
        recorded(model.bbox_head, 'forward', kept)
        found[samples] = losses(model, clip([A, B], [A, B]))['loss_cnp']
    far = torch.tensor([not (x <= 56 and 16 <= y <= 40) for x, y in points_of(
        model, torch.ones_like(learns))])
    sigmas = torch.cat(kept[0][1].sigmas, 1)[0, far]
    expected = (sigmas - 2).abs().sum(1).mean()
    assert (found['everywhere'] - found['inside']).item() == pytest.approx(
        expected.item(), rel=1e-5)


@pytest.mark.parametrize('sigma, power, expected', [
    (.5, 0., 1.),  # scores stay, bit for bit
    (.5, 1., .75),  # the mean of P and IoU that sigma says
    (1., .5, .5**.5),
    (2.5, 1., .02),  # more than eq 11 can be: least, and above 0
])
def test_certainty_multiplies_scores(sigma, power, expected):
    head = tiny_model(memcnp=dict(
        type='MemCNP', num_items=8, certainty_power=power)).bbox_head
    found = head.certainty(torch.full((1, 4), sigma))
    assert found.item() == pytest.approx(expected)
    assert power or found.item() == 1


def test_scores_rank_by_certainty():
    """Scores are divided out again: boxes, classes and order of equal ones
    stay."""
    torch.manual_seed(0)
    found = {}
    for power in (0., .5):
        torch.manual_seed(1)
        model = tiny_model(memcnp=dict(
            type='MemCNP', num_items=8, certainty_power=power)).eval()
        head = model.bbox_head
        head.test_cfg.update(score_thr=0., max_per_img=1000, nms_iou_thr=1.)
        feats = model.extract_feat(torch.rand(
            1, 3, 64, 64, generator=torch.Generator().manual_seed(2)))
        found[power] = head.predict(head(feats), [dict(
            img_shape=(64, 64), scale_factor=(1., 1.))])[0]
    plain, sure = found[0.], found[.5]
    assert len(plain) and torch.equal(
        plain.scores, plain.class_probs * plain.centernesses)
    factor = (1 - sure.uncertainties / 2).clamp(min=.02)**.5
    assert torch.allclose(
        sure.scores, sure.class_probs * sure.centernesses * factor)
    assert (sure.scores.diff() <= 0).all()


@pytest.mark.parametrize('options', [
    dict(certainty_power=-1.),  # would reward what is unsure
    dict(certainty_power=.5, box_unit='image'),  # sigma is of another size
])
def test_certainty_power_is_checked(options):
    with pytest.raises(ValueError, match='certainty_power'):
        tiny_model(memcnp=dict(type='MemCNP', num_items=8, **options))


def test_owners_by_hand():
    """The smallest box, edges included; padding and other frames do not
    count."""
    boxes = torch.tensor([[A[2:], B[2:]], [A[2:], [0] * 4]]).float()
    zeros = torch.zeros(2, 2, dtype=torch.long)
    gt = GroundTruth.of(boxes, torch.full((2, 2), 64.), zeros, zeros,
                        torch.tensor([[True, True], [True, False]]), None)
    points = torch.tensor([[28., 28], [4, 28], [56, 40], [57, 28], [0, 0]])
    assert owners(points, gt).tolist() == [[1, 0, 0, -1, -1],
                                           [0, 0, 0, -1, -1]]


@pytest.mark.parametrize('unit', ['object', 'image'])
def test_what_the_head_predicts_is_read_in_the_unit_it_is_trained_in(unit):
    model = tiny_model(
        memcnp=dict(type='MemCNP', num_items=8, box_unit=unit))
    head = model.bbox_head
    assert head.loss_cnp.box_unit == head.memcnp.box_unit == unit
    sigma = torch.full((1, 4), .5)
    found = head.image_sigmas(sigma, torch.tensor([[.2, .2, .4, .8]]))
    assert torch.allclose(found, torch.tensor(
        [[.05, .15, .05, .15] if unit == 'object' else [.5] * 4]))
