"""Losses of MemCNP on queries."""
import math
from dataclasses import replace

import pytest
import torch
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh

from mmvis_memcnp.models.matching import Queries
from mmvis_memcnp.models.memcnp import (
    ContrastiveTrackingLoss,
    MemCNP,
    MemCNPLoss,
    refine_boxes,
)
from mmvis_memcnp.models.memcnp.hosts.keys import query_key
from mmvis_memcnp.models.memcnp.hosts.queries import (
    FrameRules,
    clip_cnp_loss,
    clip_contrast,
    frame_contrast,
    frame_owners,
)
from mmvis_memcnp.models.segmenters.deformable import (
    build_box_branches,
    reading,
)
from mmvis_memcnp.models.truth import GroundTruth, Matches
from tests.test_models.test_matching.objects import clips_of, frames_of

#: The defaults, and the options of the released code.
LOSSES = dict(
    ours=MemCNPLoss(),
    released=MemCNPLoss(alpha='points', box_unit='image',
                        sigma_samples='positives', sigma_norm='smooth_l1'))
both = pytest.mark.parametrize('criterion', LOSSES.values(), ids=LOSSES)


def assignment(gt_index, num_gts, centreness=1.):
    gt_index = torch.tensor(gt_index)
    pos = gt_index >= 0
    best = torch.stack([(gt_index == g).float().argmax(-1)
                        for g in range(num_gts)], -1)
    return Matches(gt_index, best, centreness=centreness * pos.float())


def frame_cnp_loss(criterion, boxes, sigmas, probs, assigned, gt_boxes,
                   labels, candidates=None, layers=1):
    """Images (B, Q, .) of all layers as the clips of one frame they are."""
    return clip_cnp_loss(
        criterion, boxes[:, None], sigmas[:, None], probs,
        replace(assigned, centreness=assigned.centreness[:, None]),
        gt_boxes[:, None], labels,
        torch.ones_like(labels, dtype=torch.bool)[:, None],
        None if candidates is None else candidates[:, None], layers)


@pytest.mark.parametrize('kind, count, regulariser', [
    ('released', 4, .5 * .3**2),  # over four queries
    ('ours', 1, 4 * .3),  # over one support; four edges
])
def test_a_frame_by_hand(kind, count, regulariser):
    """One of four queries, mu on the box: L_nll is the peak's logarithm, u =
    1 - .8, .3 off the sigma."""
    boxes = torch.rand(1, 4, 4)
    gt = torch.tensor([[[.2, .2, .6, .6]]])
    boxes[0, 2] = gt[0, 0]
    probs = torch.zeros(1, 4, 3)
    probs[0, 2, 1] = .8
    loss = frame_cnp_loss(LOSSES[kind], boxes, torch.full((1, 4, 4), .5),
                          probs, assignment([[-1, -1, 0, -1]], 1), gt,
                          torch.tensor([[1]]))
    nll = 2 * math.log(2 * math.pi) + 4 * math.log(.5)
    assert loss.item() == pytest.approx(nll / count + regulariser, rel=1e-5)


def test_candidates_of_a_frame_by_hand():
    """Query 0 supports object 0, and 0, 1 and 3 stand in it. Query 2 stands
    in object 1, which has no support."""
    gt = torch.tensor([[[.2, .2, .6, .6], [.1, .1, .2, .9]]])
    boxes = gt[:, [0, 0, 1, 1]].clone()
    boxes[0, 3] = torch.tensor([.2, .2, .6, .4])  # half of its object
    probs = torch.zeros(1, 4, 3)
    probs[0, :, 1] = torch.tensor([.8, .6, .3, .9])
    sigmas = torch.full((1, 4, 4), .5, requires_grad=True)
    loss = frame_cnp_loss(
        MemCNPLoss(), boxes, sigmas, probs,
        assignment([[0, -1, -1, -1]], 2), gt, torch.tensor([[1, 1]]),
        torch.tensor([[0, 0, 1, 0]]))
    # u: 1 - .8, 1 - .6, and 2 - .9 - .5
    nll = 2 * math.log(2 * math.pi) + 4 * math.log(.5)
    assert loss.item() == pytest.approx(
        nll + 4 * (.3 + .1 + .1) / 3, rel=1e-5)
    loss.backward()
    assert (sigmas.grad[0, [0, 1, 3]] != 0).all()
    assert (sigmas.grad[0, 2] == 0).all()


def test_owners_of_queries_by_hand():
    """Query 0 stands in both boxes and belongs to the smaller, in its second
    frame to the only one that is seen; query 1 stands on an edge, query 2 in
    a padded box."""
    points = torch.tensor([[.3, .3], [.6, .4], [.95, .95]])
    boxes = torch.tensor([[0., 0, .6, .6], [.2, .2, .4, .4], [.9, .9, 1, 1]])
    visible = torch.tensor([[True, True, False], [True, False, False]])
    found = frame_owners(points.expand(1, 2, 3, 2), boxes.expand(1, 2, 3, 4),
                         visible[None])
    assert found.tolist() == [[[1, 0, -1], [0, 0, -1]]]
    none = frame_owners(points.expand(1, 2, 3, 2), boxes[:0].expand(
        1, 2, 0, 4), visible[None, :, :0])
    assert none.tolist() == [[[-1] * 3] * 2]


def test_alpha_counts_the_queries_or_the_supports():
    boxes, gt = torch.rand(1, 6, 4), torch.rand(1, 1, 4)
    args = (boxes, torch.rand(1, 6, 4) + .2, torch.rand(1, 6, 3),
            assignment([[0, 0, -1, -1, -1, -1]], 1), gt, torch.tensor([[2]]))
    points = frame_cnp_loss(MemCNPLoss(alpha='points', sigma_weight=0.), *args)
    support = frame_cnp_loss(
        MemCNPLoss(alpha='support', sigma_weight=0.), *args)
    assert points.item() == pytest.approx(support.item() * 2 / 6, rel=1e-5)


@both
def test_padding_and_empty_images_change_nothing(criterion):
    boxes, sigmas = torch.rand(2, 6, 4), torch.rand(2, 6, 4) + .2
    probs, gt = torch.rand(2, 6, 3), torch.rand(2, 3, 4)
    gt_index = [[0, -1, -1, 0, -1, 1], [-1] * 6]
    padded = frame_cnp_loss(criterion, boxes, sigmas, probs,
                            assignment(gt_index, 3), gt,
                            torch.zeros(2, 3, dtype=torch.long))
    one = frame_cnp_loss(criterion, boxes[:1], sigmas[:1], probs[:1],
                         assignment(gt_index[:1], 2), gt[:1, :2],
                         torch.zeros(1, 2, dtype=torch.long))
    assert torch.allclose(padded, one)


@pytest.mark.parametrize('criterion', [
    # objects taken one by one have to count their own samples
    MemCNPLoss(alpha='support'), LOSSES['released']])
def test_frames_of_a_clip_are_averaged_before_objects(criterion):
    """Object 0 is seen in three frames, object 1 in one."""
    torch.manual_seed(0)
    boxes, sigmas = torch.rand(1, 3, 5, 4), torch.rand(1, 3, 5, 4) + .2
    probs, gt = torch.rand(1, 5, 3), torch.rand(1, 3, 2, 4)
    labels = torch.tensor([[2, 0]])
    visible = torch.tensor([[[True, False], [True, True], [True, False]]])
    assigned = assignment([[0, 1, -1, 0, -1]], 2)
    phi = torch.rand(1, 3, 5) * assigned.pos[:, None]
    clip = clip_cnp_loss(criterion, boxes, sigmas, probs,
                         replace(assigned, centreness=phi), gt, labels,
                         visible)

    def single(frame, obj):
        only = torch.where(assigned.gt_index == obj, obj, -1)
        return frame_cnp_loss(
            criterion, boxes[:, frame], sigmas[:, frame], probs,
            replace(assigned, gt_index=only, centreness=phi[:, frame]),
            gt[:, frame], labels)

    first = sum(single(t, 0) for t in range(3)) / 3
    assert torch.allclose(clip, (first + single(1, 1)) / 2)


@both
def test_layers_have_means_of_their_own(criterion):
    """All at once as one by one, with more objects in one than in others."""
    torch.manual_seed(0)
    boxes, sigmas = torch.rand(6, 5, 4), torch.rand(6, 5, 4) + .2
    probs, gt = torch.rand(6, 5, 3), torch.rand(6, 2, 4)
    labels = torch.zeros(6, 2, dtype=torch.long)
    assigned = assignment([[0, 1, -1, 0, -1], [1] * 5, [0, -1, -1, -1, -1],
                           [-1] * 5, [-1] * 5, [-1] * 5], 2)
    rows = [slice(i, i + 2) for i in (0, 2, 4)]
    apart = torch.cat([
        frame_cnp_loss(criterion, boxes[r], sigmas[r], probs[r],
                       assigned.map(lambda x, r=r: x[r]), gt[r],
                       labels[r]) for r in rows
    ])
    found = frame_cnp_loss(criterion, boxes, sigmas, probs, assigned, gt,
                           labels, layers=3)
    assert found.shape == (3, ) and torch.allclose(found, apart)
    assert found[2] == 0 and found[:2].all()


def test_hosts_average_over_ground_truths():
    with pytest.raises(ValueError, match="reduction='gt_mean'"):
        frame_cnp_loss(
            MemCNPLoss(alpha='points', reduction='image_sum'),
            torch.rand(1, 2, 4), torch.rand(1, 2, 4), torch.rand(1, 2, 3),
            assignment([[0, -1]], 1), torch.rand(1, 1, 4),
            torch.zeros(1, 1, dtype=torch.long))


def decoder(query, gt, valid, labels):
    """What a host does with its box branches in a training step."""
    torch.manual_seed(0)
    key = query_key(dict(type='MemCNP', num_items=5))
    memcnp, rules = key.build(feat_dims=8), FrameRules(**key.training)
    branches = build_box_branches(2, 8, memcnp)
    branches.init_weights()
    memcnp.train()
    references, sigmas, boxes, entered = torch.rand(2, 12, 2), [], [], []
    for branch in reading(branches, memcnp):
        entered.append(references[..., :2])
        out = branch(query)
        new = refine_boxes(out.delta, references)
        centre, size = new.split(2, -1)
        boxes.append(torch.cat((centre - size / 2, centre + size / 2), -1))
        sigmas.append(out.sigma)
        references = new.detach()
    truth = GroundTruth(gt, bbox_xyxy_to_cxcywh(gt), gt, labels, labels,
                        valid, None)
    queries = Queries(torch.rand(2, 2, 12, 3).logit(), torch.stack(boxes),
                      torch.stack(entered), torch.stack(sigmas))
    picked = rules.select(queries, truth, torch.full((2, *labels.shape), -1))
    losses = rules.box_losses(queries, picked, truth)
    memcnp.write(query, entered[-1], gt, valid)
    assert list(losses) == ['d0.loss_cnp', 'loss_cnp']
    return torch.nn.ModuleList([memcnp, *branches]), torch.stack(
        list(losses.values()))


@pytest.mark.parametrize('half', [False, True])
def test_gradients_flow_to_mu_and_sigma_of_every_layer(half):
    query = torch.randn(2, 12, 8, requires_grad=True)
    gt = torch.tensor([[[.1, .1, .9, .9]], [[0., 0, .6, .7]]])
    valid = torch.ones(2, 1, dtype=torch.bool)
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
        branches, losses = decoder(query, gt, valid,
                                   torch.zeros(2, 1, dtype=torch.long))
    assert losses.shape == (2, ) and losses.dtype == torch.float32
    losses.sum().backward()
    for branch in branches[1:]:
        grad = branch.last.bias.grad
        assert (grad[:4] != 0).all() and (grad[4:] != 0).all()
        assert grad.isfinite().all()
    assert query.grad.isfinite().all()


YES, NO = True, False


@pytest.mark.parametrize('clips, samples, expected', [
    (False, 'positives', [YES, NO, NO, NO]),
    (False, 'inside', [YES, YES, YES, NO]),
    (False, 'everywhere', [YES] * 4),
    # query 0 has its likelihood wherever the object is seen; by frames
    (True, 'positives', [[YES, YES, NO], [NO] * 3, [NO] * 3, [NO] * 3]),
    (True, 'inside',
     [[YES, YES, NO], [YES, NO, NO], [YES, YES, NO], [NO] * 3]),
    (True, 'everywhere', [[YES] * 3] * 4),
])
def test_sigmas_learn_where_a_detection_may_come_from(
        clips, samples, expected):
    """Queries 0, 1 and 2 stand in the box and 0 is chosen. In the second
    frame of a clip 0 and 1 have left it; in the third one there is no
    object."""
    rules = FrameRules(**query_key(dict(type='MemCNP', training=dict(
        assigner=dict(topk=1), loss=dict(sigma_samples=samples)))).training)
    points = torch.tensor([[.5, .5], [.3, .5], [.5, .2], [.95, .5]])
    gt = torch.tensor([[[.1, .1, .9, .9]]])
    if clips:
        moved = points + torch.tensor([[.5, 0], [.7, 0], [0, 0], [0, 0]])
        points = torch.stack((points, moved, points), 1)
        truth = clips_of(gt[:, :, None].expand(1, 1, 3, 4),
                         torch.tensor([[[YES, YES, NO]]]))
        given = dict(matched=torch.zeros(2, 1, 1, dtype=torch.long))
    else:
        truth, given = frames_of(gt, torch.tensor([[YES]])), {}
    sigmas = torch.full((2, 1, *points.shape[:-1], 4), .5, requires_grad=True)
    queries = Queries(
        torch.zeros(2, 1, 4, 3), torch.full_like(sigmas, .3).detach(),
        points.expand(2, 1, *points.shape), sigmas)
    picked = rules.assigner.match(queries, truth, **given)
    losses = rules.box_losses(queries, picked, truth)
    sum(losses.values()).backward()
    for layer in (sigmas.grad != 0).all(-1)[:, 0]:
        assert layer.tolist() == expected


@pytest.mark.parametrize('num', [1, 2])
def test_no_ground_truth_keeps_the_graph(num):
    query = torch.randn(2, 12, 8, requires_grad=True)
    branches, losses = decoder(query, torch.zeros(2, num, 4),
                               torch.zeros(2, num, dtype=torch.bool),
                               torch.zeros(2, num, dtype=torch.long))
    assert losses.tolist() == [0, 0]
    losses.sum().backward()
    for name, parameter in branches.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad == 0).all()


# -- the key ----------------------------------------------------------------
def test_defaults_of_the_key():
    key = query_key(dict(type='MemCNP', training=dict(loss=dict(rule='nll'))))
    assert key.training == dict(
        assigner=dict(type='QueryUSSAssigner'),
        loss=dict(type='MemCNPLoss', rule='nll'),
        contrast=dict(type='ContrastiveTrackingLoss'))
    memcnp = key.build(feat_dims=8)
    assert isinstance(memcnp, MemCNP) and memcnp.out_dims == 12  # raw items
    shared = query_key(dict(type='MemCNP', readout='mlp')).build(feat_dims=8)
    assert shared.out_dims == 8 and shared.bank.mlp is not None


@pytest.mark.parametrize('key', [dict(type='CNP'), dict(num_items=3)])
def test_only_a_bank_can_be_read(key):
    with pytest.raises(ValueError, match="type='MemCNP'"):
        query_key(key)


def test_the_tracker_is_on_the_scale_of_the_contrast():
    training = query_key(dict(type='MemCNP', training=dict(
        contrast=dict(temperature=.3)))).training
    assert FrameRules(**training).tracker() == dict(
        association=dict(similarity='cosine', temperature=.3),
        memory=dict(normalize=True))
    assert FrameRules(**{**training, 'contrast': None}).tracker() == {}


# -- contrast -------------------------------------------------------------
def test_contrast_takes_the_best_queries():
    criterion = ContrastiveTrackingLoss()
    key, ref = torch.randn(2, 2, 6, 8).unbind(0)
    key_best = torch.tensor([[3, 1], [0, -1]])
    ref_best = torch.tensor([[5, -1], [2, 4]])
    key_ids = torch.tensor([[0, 2], [1, -1]])
    ref_ids = torch.tensor([[0, 2], [1, 3]])
    loss = frame_contrast(criterion, key, key_best, key_ids, ref, ref_best,
                          ref_ids)
    by_hand = criterion(
        torch.stack((key[0, 3], key[0, 1], key[1, 0])),
        torch.tensor([0, 2, 1]),
        torch.stack((ref[0, 5], ref[1, 2], ref[1, 4])),
        torch.tensor([0, 1, 3]))
    assert torch.allclose(loss, by_hand)


def test_contrast_of_clips_pairs_even_with_odd_frames():
    criterion = ContrastiveTrackingLoss()
    embeds = torch.randn(1, 3, 6, 8)
    matched, ids = torch.tensor([[4, 2]]), torch.tensor([[0, 1]])
    visible = torch.tensor([[[True, True], [True, True], [False, True]]])
    loss = clip_contrast(criterion, embeds, matched, ids, visible)
    by_hand = criterion(
        torch.stack((embeds[0, 0, 4], embeds[0, 0, 2], embeds[0, 2, 2])),
        torch.tensor([0, 1, 1]),
        torch.stack((embeds[0, 1, 4], embeds[0, 1, 2])), torch.tensor([0, 1]))
    assert torch.allclose(loss, by_hand)


def test_contrast_without_pairs_is_zero_with_a_gradient():
    embeds = torch.randn(2, 1, 6, 8, requires_grad=True)
    none = torch.full((2, 3), -1)
    for matched in (none, torch.zeros_like(none)):
        loss = clip_contrast(ContrastiveTrackingLoss(), embeds, matched,
                             torch.arange(6).view(2, 3),
                             torch.ones(2, 1, 3, dtype=torch.bool))
        assert loss == 0
        loss.backward()
    assert (embeds.grad == 0).all()
